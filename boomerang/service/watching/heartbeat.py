"""Which workers there are, as they say in Redis every few seconds: doors, not jobs.

| key | what |
|---|---|
| `boomerang:workers` | a set: the names of workers that said so lately |
| `boomerang:worker:NAME` | one of them, as JSON; gone SECONDS after its last word |
"""

import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from boomerang.service.playing.store import address

INDEX = "boomerang:workers"
SECONDS = 15
"""How long a worker is believed to be there after it said so, by the clock of Redis."""
_EVERY_SECONDS = 5.0
log = logging.getLogger("boomerang.workers")


@dataclass(frozen=True, slots=True)
class Present:
    """A worker that is there: its `name` is like no other's, `since` is Unix seconds."""

    name: str
    host: str
    queues: tuple[str, ...]
    version: str
    since: float


def connect(redis_url: str, seconds: float = 2.0) -> Any:
    """A client that waits at most so long. Raises ValueError for what is no address."""
    from redis import Redis  # noqa: PLC0415 - whoever asks no queue loads no client
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    return Redis.from_url(
        address(redis_url), decode_responses=True, retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=seconds, socket_timeout=seconds,
    )  # fmt: skip


def say(client: Any, me: Present) -> None:
    """Say that a worker is there. Raises RedisError where the queue is away."""
    with client.pipeline(transaction=True) as all_at_once:
        all_at_once.set(_key(me.name), json.dumps(asdict(me)), ex=SECONDS)
        all_at_once.sadd(INDEX, me.name)
        all_at_once.execute()


def leave(client: Any, name: str) -> None:
    """Say that a worker goes. Raises RedisError where the queue is away."""
    with client.pipeline(transaction=True) as all_at_once:
        all_at_once.delete(_key(name))
        all_at_once.srem(INDEX, name)
        all_at_once.execute()


def present(client: Any) -> tuple[Present, ...]:
    """The workers that are there, by name. Raises RedisError where the queue is away."""
    names = sorted(client.smembers(INDEX))
    told = client.mget([_key(name) for name in names]) if names else []
    gone = [name for name, one in zip(names, told, strict=True) if one is None]
    if gone:
        client.srem(INDEX, *gone)
    return tuple(_read(one) for one in told if one is not None)


def missing(queues: Iterable[str], there: Iterable[Present]) -> tuple[str, ...]:
    """The queues that nobody of those that are there listens to."""
    heard = {queue for one in there for queue in one.queues}
    return tuple(queue for queue in queues if queue not in heard)


def keep_saying(redis_url: str, me: Present, stopping: threading.Event) -> threading.Thread:
    """Say it again and again, from a thread of its own, until the worker stops."""

    def beat() -> None:
        client = connect(redis_url)
        away = False
        while True:
            try:
                say(client, me)
                away = False
            except Exception as error:
                if not away:
                    log.warning("the queue does not hear this worker: %s", type(error).__name__)
                away = True
            if stopping.wait(_EVERY_SECONDS):
                break
        try:
            leave(client, me.name)
        except Exception as error:
            # It is forgotten by itself.
            log.debug("the queue was not told: %s", type(error).__name__)

    thread = threading.Thread(target=beat, name="present", daemon=True)
    thread.start()
    return thread


def _key(name: str) -> str:
    return f"boomerang:worker:{name}"


def _read(text: str) -> Present:
    told = json.loads(text)
    return Present(**told | {"queues": tuple(told["queues"])})
