"""From a repository and a revision, as the Hub's client names them, to the files of a member."""

from collections.abc import Callable

from fastapi.responses import JSONResponse, Response

from app.context import Context
from app.hub.answers import Answers
from app.hub.paths import BRANCH, MAIN
from app.openapi import Responses, headers, problems
from app.schemas.hub import HubError
from app.serving.finding import by_repo
from app.serving.volume import Volume
from boomerang.errors import BoomerangError, GatedTeacher, HubFailure

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
    member = by_repo(context.cache.now(), repo)
    if member is None:
        return refused(404, "RepoNotFound", f"There is no model {repo}.")
    try:
        volume = (
            context.volumes.open(member)
            if revision in (MAIN, BRANCH)
            else context.volumes.at(member, revision)
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
