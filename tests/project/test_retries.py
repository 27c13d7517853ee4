"""What passes by itself, what does not, and how long is waited."""

import errno

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError as QueueError
from redis.exceptions import ConnectionError as RedisGone
from redis.exceptions import ResponseError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from boomerang.errors import BadRecipe, HubBusy, HubFailure, Interrupted
from boomerang.retries import Fate, asked_wait, backoff, fate, jittered

CUT = DBAPIError("SELECT 1", {}, Exception("cut"), connection_invalidated=True)


def said_by_sqlite(statement: str) -> OperationalError:
    """The error of a statement. Of one kind, whether it passes or not."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(OperationalError) as raised:
        connection.execute(text(statement))
    engine.dispose()
    return raised.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HubBusy("Later."), Fate.LATER),
        (Interrupted("Its device is gone."), Fate.LATER),
        (OperationalError("SELECT 1", {}, Exception("gone")), Fate.LATER),
        (CUT, Fate.LATER),
        (QueueError("gone"), Fate.LATER),
        (RedisGone("gone"), Fate.LATER),
        (ConnectionResetError("gone"), Fate.LATER),
        (httpx.ReadTimeout("silent"), Fate.LATER),
        (httpx2.ConnectError("nobody"), Fate.LATER),
        (OSError(errno.ENOSPC, "full"), Fate.LATER),
        (OSError(errno.ESTALE, "stale"), Fate.LATER),
        (OSError(errno.EHOSTUNREACH, "no route to host"), Fate.LATER),
        (OSError(errno.ENOMEM, "cannot allocate memory"), Fate.LATER),
        (OSError(errno.EMFILE, "too many open files"), Fate.LATER),
        (BlockingIOError(errno.EAGAIN, "no more processes"), Fate.LATER),
        (RuntimeError("write failed: No space left on device"), Fate.LATER),
        (HubFailure("No."), Fate.NEVER),
        (BadRecipe("No."), Fate.NEVER),
        (FileNotFoundError(errno.ENOENT, "no such file"), Fate.NEVER),
        (PermissionError(errno.EACCES, "not yours"), Fate.NEVER),
        (IntegrityError("INSERT", {}, Exception("twice")), Fate.UNKNOWN),
        (ProgrammingError("SELEC", {}, Exception("what?")), Fate.UNKNOWN),
        (said_by_sqlite("SELECT * FROM nothing"), Fate.UNKNOWN),
        (said_by_sqlite("ATTACH '/nowhere/at/all' AS other"), Fate.LATER),
        (ResponseError("WRONGTYPE"), Fate.UNKNOWN),
        (KeyError("a bug"), Fate.UNKNOWN),
    ],
)
def test_errors_are_told_apart(error: Exception, expected: Fate) -> None:
    assert fate(error) is expected


@given(
    failures=st.integers(1, 10**6), first=st.floats(0.01, 10), drawn=st.floats(0, 1),
    longest=st.floats(10, 1e4),
)  # fmt: skip
def test_a_wait_doubles_up_to_the_longest_and_is_drawn_from_its_later_half(
    failures: int, first: float, drawn: float, longest: float
) -> None:
    wait = backoff(failures, first, longest)
    assert first <= wait <= longest
    assert backoff(failures + 1, first, longest) == min(2 * wait, longest)
    assert wait / 2 <= jittered(wait, lambda: drawn) <= wait


@pytest.mark.parametrize(("said", "seconds"), [("3", 3.0), ("", None), ("Wed, 21", None)])
def test_retry_after_is_read_where_it_says_seconds(said: str, seconds: float | None) -> None:
    assert asked_wait(said) == seconds
