"""The answering side: a worker takes a question, says events, and hears whether anybody reads."""

import json
import logging
import threading
import time
from typing import Any

from pydantic import ValidationError
from redis import Redis
from redis.exceptions import RedisError

from boomerang.service.playing import store
from boomerang.service.playing.asked import Question

_LOOK_SECONDS = 0.25
_SAY_SECONDS = 2.0
log = logging.getLogger("boomerang.play")


def connect(redis_url: str) -> Any:
    """A client for the worker's side."""
    return Redis.from_url(
        store.address(redis_url), decode_responses=True, socket_connect_timeout=3, socket_timeout=10
    )


def say_present(client: Any) -> None:
    """Tell that a worker listens. A queue that is away is told later."""
    try:
        client.set(store.WORKERS, 1, ex=store.WORKER_SECONDS)
    except RedisError as error:
        log.warning("the queue does not answer: %s", type(error).__name__)


class Answer:
    """A question that was taken; `ended` is set once nobody wants its answer any more."""

    def __init__(self, client: Any, id_: str, stopping: threading.Event) -> None:
        self.id = id_
        self.ended = threading.Event()
        self._redis, self._stopping = client, stopping
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"answer {id_}", daemon=True)

    def take(self) -> Question | None:
        """The question; None where nobody waits for it any more, or it is none that this version
        knows, which is said. Raises RedisError.
        """
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(store.held_key(self.id), 1, ex=store.HELD_SECONDS)
            pipe.exists(store.reader_key(self.id))
            pipe.getdel(store.ask_key(self.id))
            _, reader, asked = pipe.execute()
        if not reader or asked is None:
            self._redis.delete(store.held_key(self.id))
            return None
        self._watcher.start()
        try:
            return Question.model_validate_json(asked)
        except ValidationError:
            # Not to be raised: what was asked stands in it.
            self.say(store.failed(
                "front end and worker are of different versions", "Have both be of one version."
            ))  # fmt: skip
            return None

    def say(self, event: dict[str, Any]) -> None:
        """Add an event to the answer. Raises RedisError."""
        key = store.answer_key(self.id)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(key, {"e": json.dumps(event)}, maxlen=store.MOST_EVENTS, approximate=True)
            pipe.expire(key, store.ANSWER_SECONDS)
            if store.over(event):
                # Before it is read: whoever asks next must not be told that this one waits.
                pipe.zrem(store.WAITING, self.id)
            pipe.execute()

    def _watch(self) -> None:
        said = time.monotonic()
        while not self._done.wait(_LOOK_SECONDS):
            try:
                if self._stopping.is_set() or not self._redis.exists(store.reader_key(self.id)):
                    self.ended.set()
                if time.monotonic() - said >= _SAY_SECONDS:
                    said = time.monotonic()
                    self._redis.set(store.held_key(self.id), 1, ex=store.HELD_SECONDS)
            except RedisError:
                self.ended.set()

    def close(self) -> None:
        """Let the question go."""
        self._done.set()
        if self._watcher.ident is not None:
            self._watcher.join()
        try:
            self._redis.zrem(store.WAITING, self.id)
            self._redis.delete(store.held_key(self.id))
        except RedisError:
            # Both run out by themselves.
            log.warning("the queue does not answer")
