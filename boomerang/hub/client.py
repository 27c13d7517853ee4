"""How Boomerang speaks to the Hub: whom to ask, with which token, how often, what an error means.

The token comes from the environment (HF_TOKEN), or is that of whoever asked for a publication, and
stands in no message.
"""

import errno
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from boomerang.errors import (
    BadName,
    FileNotInModel,
    GatedTeacher,
    HubFailure,
    HubUnreachable,
    TeacherNotFound,
    no_room,
)
from boomerang.hub import library
from boomerang.hub.hurry import in_haste
from boomerang.retries import CONFLICTS, STATUSES, TOO_MANY, asked_wait, backoff, jittered

if TYPE_CHECKING:
    from httpx2 import Client
    from huggingface_hub import HfApi

NAME = "boomerang"
"""What the Hub is told that asks."""
ATTEMPTS = 5
"""How often a question is asked before the Hub counts as gone."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second attempt, doubled each time; and the most that Retry-After may ask."""

_QUERY = re.compile(r"(?<=\S)\?\S+=\S+")
_RESET = re.compile(r"\bt=(\d+)")
"""Where the Hub says in `RateLimit` after how many seconds it takes questions again."""

T = TypeVar("T")


def hub_endpoint(endpoint: str | None = None) -> str:
    """The Hub's address: the one given, HF_ENDPOINT, or huggingface.co."""
    return (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_token() -> str | bool:
    """The token of the environment, or False: one saved by a login on this machine is not used."""
    return os.environ.get("HF_TOKEN") or False


_acting: ContextVar[str | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(token: str | None) -> Iterator[None]:
    """A context whose clients have this token; without one, the environment's.

    Files that are read by range are read with the environment's all the same: they are models of
    the service, and what was read must not depend on who publishes it.
    """
    before = _acting.set(token)
    try:
        yield
    finally:
        _acting.reset(before)


def acting_token() -> str | bool:
    """The token of this context, or of the environment; False without any."""
    return _acting.get() or hub_token()


def api(endpoint: str | None = None) -> "HfApi":
    """The real client, for this endpoint and the token of this context."""
    _guard_logs()
    return library.huggingface_hub.HfApi(
        endpoint=hub_endpoint(endpoint), token=acting_token(), library_name=NAME
    )


def hub_headers(token: str | bool | None) -> dict[str, str]:
    """What a request of our own says of itself, as the real client's do."""
    return dict(library.headers.build_hf_headers(token=token, library_name=NAME))


def session() -> "Client":
    """The HTTP client of the real client, with its proxies, certificates and connections."""
    _guard_logs()
    return library.huggingface_hub.get_session()


def _guard_logs() -> None:
    """Storage addresses are signed in their query, and both libraries log addresses."""
    for name in ("httpx2", "huggingface_hub.utils._http"):
        logger = logging.getLogger(name)
        if _without_query not in logger.filters:
            logger.addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    if isinstance(record.msg, str):
        record.msg = _QUERY.sub("", record.msg)
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None) if isinstance(arg, library.httpx2.URL) else arg
            for arg in record.args
        )
    return True


class StorageRefused(Exception):
    """The storage that the Hub leads to answered with an error. Its address is not told."""

    def __init__(self, status: int, retry_after: str = "") -> None:
        super().__init__(f"the storage answered {status}")
        self.status = status
        self.retry_after = retry_after


class Patience:
    """A context that ends what is worth another attempt, after a pause; to be entered again.

    That is where the Hub is busy, broken or cut off; never where it said no (4xx).
    """

    def __init__(self, sleep: Callable[[float], object] | None = None) -> None:
        self._sleep = sleep or time.sleep
        self.restore()

    def restore(self) -> None:
        """Something arrived: what fails next fails for the first time."""
        self._failures = 0

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:  # fmt: skip
        asked = None if error is None else _worth_another(error)
        self._failures += 1
        if asked is None or self._failures == ATTEMPTS:
            return False
        wanted = asked_wait(asked)
        if in_haste(wanted, at_once=_may_pass(error)):
            return True
        pause = jittered(backoff(self._failures, FIRST_WAIT, LONGEST_WAIT))
        self._sleep(min(max(pause, wanted or 0.0), LONGEST_WAIT))
        return True


def _may_pass(error: BaseException | None) -> bool:
    """Whether another attempt may succeed without a pause: not after silence, nor too many."""
    if isinstance(error, library.errors.HfHubHTTPError):
        return error.response.status_code != TOO_MANY
    if isinstance(error, StorageRefused):
        return error.status != TOO_MANY
    return not isinstance(error, library.httpx2.TimeoutException)


def _worth_another(error: BaseException) -> str | None:
    """What Retry-After said (perhaps nothing); None where another attempt changes nothing."""
    if isinstance(error, library.errors.HfHubHTTPError) and error.response.status_code in STATUSES:
        told = error.response.headers
        reset = _RESET.search(str(told.get("RateLimit", "")))
        return str(told.get("Retry-After", reset[1] if reset else ""))
    if isinstance(error, StorageRefused) and error.status in STATUSES:
        return error.retry_after
    return "" if isinstance(error, library.httpx2.TransportError) else None


def patiently(ask: Callable[[], T]) -> T:
    """Ask again where the Hub is busy, broken or cut off; never where it said no (4xx)."""
    patience = Patience()
    while True:
        with patience:
            return ask()


@contextmanager
def hub_errors(repo_id: str, what: str | None = None) -> Iterator[None]:
    """Turn what the client raises into our own errors; `what` names the revision or file.

    Raises BadName, TeacherNotFound, GatedTeacher, FileNotInModel or HubFailure, which is
    HubUnreachable where another attempt may succeed; OSError where a disk of ours is full.
    """
    errors = library.errors
    try:
        yield
    except errors.HFValidationError as error:
        raise bad_name(repo_id) from error
    except errors.GatedRepoError as error:
        raise GatedTeacher(
            f"{repo_id!r} is gated, and this token was not granted access.",
            value=repo_id,
            fix="Accept its terms on the Hub and set HF_TOKEN to a token of that account.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise TeacherNotFound(
            f"{repo_id!r} has no revision {what!r}.",
            value=what,
            fix="Name a branch, a tag or a commit of it, or leave the revision out.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise TeacherNotFound(
            f"There is no model {repo_id!r} on the Hub, or this token may not see it.",
            value=repo_id,
            fix="Check the name; for a private model set HF_TOKEN.",
        ) from error
    except errors.RemoteEntryNotFoundError as error:
        raise FileNotInModel(
            f"{repo_id!r} has no file {what!r}.", value=what, fix="Look at its list of files."
        ) from error
    except StorageRefused as error:
        raise _refused(repo_id, error.status) from error
    except errors.HfHubHTTPError as error:
        raise _refused(repo_id, error.response.status_code) from error
    except (ValueError, RuntimeError) as error:
        if no_room(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        # The client's words for answers that it cannot read, and for transfers that failed.
        kind = HubFailure if isinstance(error, ValueError) else HubUnreachable
        raise kind(
            f"The Hub and its client did not understand each other about {repo_id!r} "
            f"({type(error).__name__}).",
            value=repo_id,
            fix="Check that HF_ENDPOINT is a Hub, then try again.",
        ) from error
    except (library.httpx2.HTTPError, OSError) as error:
        if no_room(error):
            raise
        raise HubUnreachable(
            f"The Hub did not answer for {repo_id!r} ({type(error).__name__}).",
            value=repo_id,
            fix="Check the network and HF_ENDPOINT, then try again.",
        ) from error


def bad_name(repo_id: str) -> BadName:
    """The error for what is no repo id."""
    return BadName(
        f"{repo_id!r} is no name of a repository.",
        value=repo_id,
        fix="Write it as owner/name: letters, digits, '-', '_' and '.', no '..' or '--'.",
    )


def _refused(repo_id: str, status: int) -> HubFailure:
    if status in (401, 403):
        whose = "Set HF_TOKEN to" if _acting.get() is None else "Ask again with"
        fix = f"{whose} a token that has this right."
    elif status in CONFLICTS:
        fix = "Somebody else changed it meanwhile: try again."
    else:
        fix = "Try again later." if status in STATUSES else "Check the request."
    kind = HubUnreachable if status in STATUSES | CONFLICTS else HubFailure
    return kind(
        f"The Hub refused a request for {repo_id!r} with status {status}.", value=repo_id, fix=fix
    )
