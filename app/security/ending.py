"""Streams end with what they were opened by: a key that is revoked, a session that is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar

from starlette.requests import Request

from app.security.sessions import Session, Sessions
from boomerang.catalog.records.keys import NOBODY

LOOK_SECONDS = 3.0
"""How often a stream is looked after; beside it, what is known of keys is some seconds old."""

T = TypeVar("T")


async def while_allowed(request: Request, stream: AsyncIterator[T]) -> AsyncIterator[T]:
    """A stream as long as whoever opened it may read it, whether or not anything comes."""
    coming: asyncio.Future[T] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(anext(stream))
            done, _ = await asyncio.wait({coming}, timeout=LOOK_SECONDS)
            if not await _still(request):
                return
            if done:
                try:
                    item = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                yield item
    finally:
        if coming is not None and not coming.done():
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _still(request: Request) -> bool:
    """Whether the key or the session of a request is one still; without keys nobody needs one."""
    sessions: Sessions = request.app.state.sessions
    await sessions.keys.fresh()
    session: Session | None = request.state.session
    if session is not None:
        return sessions.of(request) is not None
    if request.state.who is NOBODY:
        return not sessions.keys
    return sessions.keys.of_digest(request.state.digest) is not None
