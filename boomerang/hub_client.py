"""How Boomerang speaks to the Hub: whom to ask, with which token, how often, what an error means.

The token comes from the environment (HF_TOKEN) alone and stands in no message. huggingface_hub is
imported when the first question is asked, not before.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from boomerang.errors import BadName, FileNotInModel, GatedTeacher, HubFailure, TeacherNotFound

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ATTEMPTS = 5
"""How often a question is asked before the Hub counts as gone."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second attempt, doubled each time; and the most that Retry-After may ask."""
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""
RETRIED = frozenset({408, 429, 500, 502, 503, 504})

T = TypeVar("T")


def hub_endpoint(endpoint: str | None = None) -> str:
    """The Hub's address: the one given, HF_ENDPOINT, or huggingface.co."""
    return (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_token() -> str | bool:
    """The token of the environment, or False: one saved by a login on this machine is not used."""
    return os.environ.get("HF_TOKEN") or False


def api(endpoint: str | None = None) -> "HfApi":
    """The real client, for this endpoint and token."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub_endpoint(endpoint), token=hub_token(), library_name="boomerang")


def patiently(ask: Callable[[], T]) -> T:
    """Ask again where the Hub is busy, broken or cut off; never where it said no (4xx)."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    wait = FIRST_WAIT
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except HfHubHTTPError as error:
            if attempt == ATTEMPTS or error.response.status_code not in RETRIED:
                raise
            asked = error.response.headers.get("Retry-After", "")
            pause = max(wait, float(asked)) if asked.isdigit() else wait
        except TransportError:
            if attempt == ATTEMPTS:
                raise
            pause = wait
        time.sleep(min(pause, LONGEST_WAIT))
        wait *= 2
    raise AssertionError("unreachable")


@contextmanager
def hub_errors(repo_id: str, what: str | None = None) -> Iterator[None]:
    """Turn what the client raises into our own errors; `what` names the revision or file.

    Raises BadName, TeacherNotFound, GatedTeacher, FileNotInModel or HubFailure.
    """
    from httpx2 import HTTPError
    from huggingface_hub import errors

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
    except errors.HfHubHTTPError as error:
        raise _refused(repo_id, error.response.status_code) from error
    except (ValueError, RuntimeError) as error:
        # The client's words for answers that it cannot read, and for transfers that failed.
        raise HubFailure(
            f"The Hub and its client did not understand each other about {repo_id!r} "
            f"({type(error).__name__}).",
            value=repo_id,
            fix="Check that HF_ENDPOINT is a Hub, then try again.",
        ) from error
    except (HTTPError, OSError) as error:
        raise HubFailure(
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
        fix = "Set HF_TOKEN to a token that has this right."
    elif status in (409, 412):
        fix = "Somebody else changed it meanwhile: try again."
    else:
        fix = "Try again later." if status in RETRIED else "Check the request."
    return HubFailure(
        f"The Hub refused a request for {repo_id!r} with status {status}.", value=repo_id, fix=fix
    )
