"""The asking side: a question is put where a worker finds it, and its answer is read."""

import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import anyio

from boomerang.catalog.records.allowances import TooMany
from boomerang.errors import NoPlayer, PlayBusy, PlayOff
from boomerang.service.jobs import Play, Producer
from boomerang.service.playing import store
from boomerang.service.playing.asked import Question
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings

MOST_WAITING = 16
"""Questions that may wait, with the one that is being answered."""
LOST_SECONDS = 20.0
"""How long the first in the row may not be taken by anybody."""
_BLOCK_MS = 500
_SAY_SECONDS = 2.0

Event = dict[str, Any]


class Asker:
    """Asks the workers of the queue `play`. Connections are made at the first question."""

    def __init__(self, settings: Settings, producer: Producer) -> None:
        self._settings, self._producer = settings, producer
        self._redact = Redactor(settings)
        self._client: Any = None
        self._waiting: dict[str, WeakSet[Asking]] = {}

    @property
    def on(self) -> bool:
        """Whether sizes can be tried at all."""
        return self._settings.play

    def check_on(self) -> None:
        """Raise PlayOff where sizes cannot be tried."""
        if not self.on:
            raise PlayOff(
                "Sizes are not tried in this service.",
                fix="Set BOOMERANG_PLAY=true, and have a worker for the queue 'play'.",
            )

    async def row(self) -> tuple[bool, int]:
        """Whether a worker is there that could answer, and how many questions wait."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - who never asks loads no Redis

        try:
            client = self._redis()
            return bool(await client.exists(store.WORKERS)), int(await client.zcard(store.WAITING))
        except (RedisError, OSError):
            return False, 0

    async def ask(
        self, family: str, k: int, question: Question, by: str | None = None, most: int = 0
    ) -> "Asking":
        """Put a question about a member of a family; what it gives has to be read or left.

        Of the key that asks, `by` which, at most so many may wait here at once (0 is any number).
        Raises PlayOff, BadRequest for too many tokens, NoPlayer, PlayBusy, TooMany.
        """
        self.check_on()
        bounded = question.bounded(self._settings.play_tokens)
        asking = Asking(self._redis(), secrets.token_hex(12), self._redact)
        if by is not None and most:
            self._one_more(by, most, asking)
        try:
            await self._put(asking, Play(id=asking.id, family=family, k=k), bounded)
        except BaseException:
            asking.left = True
            raise
        return asking

    async def _put(self, asking: "Asking", job: Play, bounded: Question) -> None:
        from redis.exceptions import RedisError  # noqa: PLC0415 - as above

        try:
            if not await self._redis().exists(store.WORKERS):
                raise _nobody()
            await asking.begin(json.dumps(bounded.told()))
        except (RedisError, OSError) as error:
            raise _nobody("The queue does not answer.") from error
        if not await anyio.to_thread.run_sync(self._producer.send, job):
            await asking.leave()
            raise _nobody("The queue does not answer.")

    def _one_more(self, by: str, most: int, asking: "Asking") -> None:
        # Weakly: one whose client left before it was read is left by nobody.
        waiting = self._waiting.setdefault(by, WeakSet())
        if sum(not one.left for one in waiting) >= most:
            raise TooMany(
                f"{most} questions of this key wait already.",
                value=most,
                fix="Ask again once one of them is answered.",
                retry_after=5,
            )
        waiting.add(asking)

    def _redis(self) -> Any:
        from redis.asyncio import Redis  # noqa: PLC0415 - as above
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above

        if self._client is None:
            address = store.address(self._settings.redis_url)
            self._client = Redis.from_url(
                address, decode_responses=True, socket_connect_timeout=3, socket_timeout=10,
                # Whoever asks is told at once that the queue is away.
                retry=Retry(NoBackoff(), 1),
            )  # fmt: skip
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _nobody(why: str = "No worker that tries sizes is there.") -> NoPlayer:
    return NoPlayer(why, fix="Start one: boomerang worker --queues play (BOOMERANG_PLAY=true).")


class Asking:
    """A question that was put; `id` names it."""

    def __init__(self, client: Any, id_: str, redact: Redactor) -> None:
        self.id = id_
        self._redis, self._redact = client, redact
        self._said_at, self.left = 0.0, False

    async def begin(self, question: str) -> None:
        """Take a place in the row, and leave the question there. Raises PlayBusy."""
        place = await self._line_up()
        if place >= MOST_WAITING:
            await self._prune()
            place = await self._redis.zrank(store.WAITING, self.id)
        if place is None or place >= MOST_WAITING:
            await self._redis.zrem(store.WAITING, self.id)
            raise PlayBusy(
                f"{MOST_WAITING} questions wait already.",
                value=MOST_WAITING,
                fix="Ask again in a moment.",
            )
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(store.ask_key(self.id), question, ex=store.ASK_SECONDS)
            pipe.set(store.reader_key(self.id), 1, ex=store.READER_SECONDS)
            await pipe.execute()
        self._said_at = time.monotonic()

    async def _line_up(self) -> int:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(store.WAITING, {self.id: time.time()})
            pipe.expire(store.WAITING, store.ASK_SECONDS)
            pipe.zrank(store.WAITING, self.id)
            return int((await pipe.execute())[-1])

    async def _prune(self) -> None:
        """Take those out of the row that nobody reads any more: their front end is gone."""
        for other in await self._redis.zrange(store.WAITING, 0, -1):
            if other != self.id and not await self._redis.exists(store.reader_key(other)):
                await self._redis.zrem(store.WAITING, other)

    async def events(self) -> AsyncIterator[Event]:
        """The events of the answer, the last of which is `done` or `failed`.

        Before it is begun `waiting` says how many are before it, `loading` that its pair is
        brought into memory. Whoever stops reading has it cancelled.
        """
        from redis.exceptions import RedisError  # noqa: PLC0415 - as in Asker

        try:
            async for event in self._read():
                yield event
        except (RedisError, OSError):
            yield store.failed("the queue is away", "Ask again in a moment.", again=True)
        finally:
            # Whoever leaves is cancelled: nothing else could be awaited.
            with anyio.CancelScope(shield=True):
                await self.leave()

    async def _read(self) -> AsyncIterator[Event]:
        key, last, taken = store.answer_key(self.id), "0-0", False
        place: int | None = None
        first_since: float | None = None
        while True:
            found = await self._redis.xread({key: last}, count=200, block=_BLOCK_MS)
            await self._say_reading()
            for at, fields in found[0][1] if found else ():
                last = at
                event: Event = json.loads(fields["e"])
                taken = True
                # Why it failed is told by libraries too; what is written is nobody's but theirs.
                yield self._redact(event) if event["event"] == "failed" else event
                if store.over(event):
                    return
            if found:
                continue
            held, there, rank = await self._state()
            taken = taken or held
            if taken and not held:
                yield store.failed("the worker was lost", "Ask again.", again=True)
                return
            if taken:
                continue
            if not there:
                error = _nobody()
                yield store.failed(error.detail, error.fix, again=True)
                return
            if rank != place:
                place, first_since = rank, time.monotonic()
                yield {"event": "waiting", "place": rank or 0}
            elif not rank and time.monotonic() - (first_since or 0.0) > LOST_SECONDS:
                yield store.failed("nobody took the question", "Ask again.", again=True)
                return

    async def _state(self) -> tuple[bool, bool, int | None]:
        """Whether a worker is at it, whether there is one, and how many are before it."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.exists(store.held_key(self.id))
            pipe.exists(store.WORKERS)
            pipe.zrank(store.WAITING, self.id)
            held, there, rank = await pipe.execute()
        return bool(held), bool(there), rank

    async def _say_reading(self) -> None:
        if time.monotonic() - self._said_at >= _SAY_SECONDS:
            self._said_at = time.monotonic()
            await self._redis.set(store.reader_key(self.id), 1, ex=store.READER_SECONDS)

    async def leave(self) -> None:
        """Want no answer any more."""
        self.left = True
        from redis.exceptions import RedisError  # noqa: PLC0415 - as in Asker

        with suppress(RedisError, OSError):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(store.reader_key(self.id), store.ask_key(self.id))
                pipe.zrem(store.WAITING, self.id)
                pipe.expire(store.answer_key(self.id), store.ANSWER_SECONDS)
                await pipe.execute()
