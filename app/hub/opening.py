"""From an address, as the Hub's client writes it, to the files of a member.

A revision may hold slashes, written %2F or plain.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.context import Context
from app.hub.answers import BRANCH, MAIN, Answers
from app.openapi import Responses, headers, problems
from app.schemas.hub import HubError
from app.serving.catalog_cache import by_repo
from app.serving.volume import Volume
from boomerang.errors import BoomerangError, GatedTeacher, HubFailure


def parts_after(request: Request, count: int) -> list[str]:
    """The parts of the path behind the first `count`, as the client divided them.

    The framework decodes %2F before it routes, so that `refs%2Fheads%2Fmain` looks like three
    parts: they are taken from the path as it was sent.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    parts = raw.decode("latin-1").split("?")[0].split("/")[1:]
    passed = 0
    while passed < count and parts:
        passed += unquote(parts.pop(0)).count("/") + 1
    return [unquote(part) for part in parts]


def split_revision(parts: list[str]) -> tuple[str, str]:
    """A revision and the path behind it; `refs/heads/main` may also be written in three parts."""
    length = 3 if parts[:1] == ["refs"] else 1
    return "/".join(parts[:length]), "/".join(parts[length:])


Handler = Callable[..., Any]


def reads(
    router: APIRouter, path: str, model: Any = None, **described: Any
) -> Callable[[Handler], Handler]:
    """A route for GET, and for HEAD as mirrors ask; `described` is what its contract says."""

    def install(handler: Handler) -> Handler:
        router.head(path, response_model=None, include_in_schema=False)(handler)
        router.get(path, response_model=model, **described)(handler)
        return handler

    return install


REFUSED: Responses = problems(502, 503) | {
    status: {
        "model": HubError,
        "description": description,
        "headers": headers(X_Error_Code="which kind", X_Error_Message="for people"),
    }
    for status, description in ((403, "Not with this key"), (404, "Not here"))
}
"""What the Hub's client is told where it gets nothing."""


def refused(status: int, code: str, what: str, commit: str | None = None) -> JSONResponse:
    """An error as the Hub's client reads it: a code that it knows, and a message for people."""
    # A header is read alike by everybody only as printable ASCII; the name came with the request.
    said = "".join(c if c.isprintable() and c.isascii() else "?" for c in what)
    headers = {"X-Error-Code": code, "X-Error-Message": said[:500]}
    if commit is not None:
        headers["X-Repo-Commit"] = commit
    return JSONResponse({"error": what[:2000]}, status, {k: v for k, v in headers.items() if v})


def opened(context: Context, repo: str, revision: str) -> Volume | JSONResponse:
    """The files of a repository at a revision, or why there are none. Raises HubFailure."""
    snapshot = context.cache.now()
    member = by_repo(snapshot, repo)
    if member is None:
        return refused(404, "RepoNotFound", f"There is no model {repo}.")
    try:
        volume = (
            context.volumes.open(snapshot, member)
            if revision in (MAIN, BRANCH)
            else context.volumes.at(snapshot, member, revision)
        )
    except HubFailure:
        raise
    except GatedTeacher as error:
        return refused(403, "GatedRepo", context.redact(f"{repo}: {error}"))
    except BoomerangError as error:
        # Not ready, changed or gone: another status the client reports as a network that is down.
        return refused(404, "RepoNotFound", context.redact(f"{repo}: {error}"))
    if volume is None:
        return refused(404, "RevisionNotFound", f"{repo} has no revision {revision}.")
    return volume


async def answered(
    context: Context, repo: str, revision: str, make: Callable[[Answers], Response]
) -> Response:
    """What `make` says of a repository at a revision, or why there is none."""

    def work() -> Response:
        volume = opened(context, repo, revision)
        if isinstance(volume, Response):
            return volume
        answer = make(Answers(volume, context.settings, context.catalog))
        answer.headers["X-Repo-Commit"] = volume.revision
        return answer

    return await context.lanes.answered(work)
