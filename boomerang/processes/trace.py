"""The id of the request that work is done for, from HTTP to a task to its child process.

It is a context variable: threads that answer a request inherit it, and whoever starts a thread of
their own copies the context. A message of the queue carries it in the header HEADER, a child
process in the variable VARIABLE of its environment, a row of the catalog in its column `trace`.
"""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "boomerang_trace"
VARIABLE = "BOOMERANG_TRACE"

_CURRENT: ContextVar[str | None] = ContextVar("boomerang_request_id", default=None)
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def current() -> str | None:
    """The id of the request that this is done for; None where nobody asked."""
    return _CURRENT.get()


def is_id(text: str | None) -> bool:
    """Whether a text may be such an id: 1 to 64 letters, digits, dots, dashes, underscores."""
    return text is not None and _ID.fullmatch(text) is not None


def taken(given: str | None) -> str:
    """The id that somebody gave, where it may be one, else a new one."""
    return given if given is not None and is_id(given) else uuid.uuid4().hex


def follow(id_: str | None) -> None:
    """What is done here from now on is done for this request; None leaves it as it is."""
    if is_id(id_):
        _CURRENT.set(id_)


@contextmanager
def following(id_: str | None) -> Iterator[None]:
    """What is done in a block is done for this request; None is nobody's."""
    token = _CURRENT.set(id_ if is_id(id_) else None)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def inherit() -> None:
    """In a child process: go on for the request that its parent works for."""
    follow(os.environ.get(VARIABLE))


def told() -> dict[str, str]:
    """What a child is told of it in its environment."""
    id_ = current()
    return {} if id_ is None else {VARIABLE: id_}
