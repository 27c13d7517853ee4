"""From what the Hub's client asks for to members: the files of one, or a list in pages.

In an address a revision may hold slashes, written %2F or plain.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import Context
from app.hub.answers import BRANCH, MAIN, Answers
from app.hub.facts import brief
from app.openapi import Responses, headers, problems
from app.schemas.hub import HubError
from app.serving.catalog_cache import Snapshot, by_repo
from app.serving.volume import Volume
from boomerang.catalog.records.families import Family, Member, repo_id
from boomerang.catalog.records.states import StudentState
from boomerang.errors import BadBudget, BoomerangError, GatedTeacher, HubFailure
from boomerang.family.budget import Budget


def revision_and_path(request: Request, count: int) -> tuple[str, str]:
    """What follows the first `count` parts of the path and a verb: a revision and a path behind it.

    The framework decodes %2F before it routes, so that `refs%2Fheads%2Fmain` looks like three
    parts: they are taken from the path as it was sent. It may also be written in three.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    sent = raw.decode("latin-1").split("?")[0].split("/")[1:]
    passed = 0
    while passed < count and sent:
        passed += unquote(sent.pop(0)).count("/") + 1
    parts = [unquote(part) for part in sent[1:]]
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
    context: Context, repo: str, revision: str, make: Callable[[Answers], Any]
) -> Response:
    """What `make` says of a repository at a revision, a body or more, or why there is none."""

    def work() -> Response:
        volume = opened(context, repo, revision)
        if isinstance(volume, Response):
            return volume
        made = make(Answers(volume, context.settings, context.catalog))
        answer = made if isinstance(made, Response) else JSONResponse(made)
        answer.headers["X-Repo-Commit"] = volume.revision
        return answer

    return await context.lanes.answered(work)


PAGE = 1000
FULL_PAGE = 100
"""Members on a page where each of them has to be opened."""


Listed = Annotated[list[str] | None, Query()]


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for. `filter` are tags that must all be there.

    `num_parameters` is written as the Hub does, "min:1B,max:3B". With `sort`, a field of the
    answer, the highest come first.
    """

    expand: Listed = None
    filter: Listed = None
    author: str = ""
    search: str = ""
    pipeline_tag: str = ""
    full: bool = False
    config: bool = False
    cardData: bool = False  # noqa: N815
    limit: int = PAGE
    cursor: int = 0
    num_parameters: str = ""
    sort: str = ""

    @property
    def parameters(self) -> tuple[int, int | None]:
        """The fewest and the most that a member may have. Raises BadBudget."""
        ends = dict(part.partition(":")[::2] for part in self.num_parameters.split(",") if part)
        low, high = ends.pop("min", ""), ends.pop("max", "")
        if ends:
            raise BadBudget(
                f"{self.num_parameters!r} is no range of sizes.",
                value=self.num_parameters,
                fix="Write it as min:1B,max:3B; either end may be left out.",
            )
        return (
            Budget.parse(low).parameters if low else 0,
            Budget.parse(high).parameters if high else None,
        )

    @property
    def opens(self) -> bool:
        """Whether the files of a member have to be looked at."""
        return self.full or self.config or self.cardData or bool(self.expand)


def listed(context: Context, wanted: Wanted) -> tuple[list[dict[str, Any]], int | None]:
    """One page, and where the next begins if there is one."""
    snapshot = context.cache.now()
    found = list(_matching(context, snapshot, wanted))
    if wanted.sort:
        found.sort(key=lambda one: one[2].get(wanted.sort, 0), reverse=True)
    start = max(wanted.cursor, 0)
    stop = start + max(1, min(wanted.limit, FULL_PAGE if wanted.opens else PAGE))
    page = found[start:stop]
    shown = [_full(context, snapshot, wanted, one) if wanted.opens else one[2] for one in page]
    following = stop if stop < len(found) else None
    return [body for body in shown if body is not None], following


_Found = tuple[Family, Member, dict[str, Any]]


def _matching(context: Context, snapshot: Snapshot, wanted: Wanted) -> Iterator[_Found]:
    private = bool(context.settings.api_keys)
    names, ladders = snapshot.names(), snapshot.ladders()
    ready = {one.key for one in context.catalog.students() if one.state is StudentState.READY}
    fewest, most = wanted.parameters
    for family in sorted(snapshot.families(), key=lambda one: names[one.id]):
        if family.student not in ready:
            continue
        for member in ladders[family.id]:
            if member.parameters < fewest or (most is not None and member.parameters > most):
                continue
            body = brief(repo_id(names[family.id], member), family, member, private=private)
            if _matches(body, wanted):
                yield family, member, body


def _matches(body: dict[str, Any], wanted: Wanted) -> bool:
    return (
        wanted.author.casefold() in ("", body["author"])
        and wanted.pipeline_tag in ("", body["pipeline_tag"])
        and {*body["tags"], body["pipeline_tag"]}.issuperset(wanted.filter or ())
        and wanted.search.casefold() in body["id"].casefold()
    )


def _full(
    context: Context, snapshot: Snapshot, wanted: Wanted, one: _Found
) -> dict[str, Any] | None:
    try:
        volume = context.volumes.open(snapshot, one[1])
    except BoomerangError:
        # Its files are gone or changed, or the family was deleted since: it cannot be had now.
        return None
    answers = Answers(volume, context.settings, context.catalog)
    return answers.info(blobs=False, expand=wanted.expand)
