"""`list_models`: the members that can be downloaded now, in pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.context import Context
from app.hub.answers import Answers
from app.hub.facts import brief
from app.serving.catalog_cache import Snapshot
from boomerang.catalog.records.families import Family, Member, repo_id
from boomerang.catalog.records.states import StudentState
from boomerang.errors import BadBudget, BoomerangError
from boomerang.family.budget import Budget

PAGE = 1000
FULL_PAGE = 100
"""Members on a page where each of them has to be opened."""


@dataclass(frozen=True)
class Wanted:
    """What a list is asked for. `filters` are tags that must all be there.

    `num_parameters` is written as the Hub does, "min:1B,max:3B". With `sort`, a field of the
    answer, the highest come first.
    """

    author: str = ""
    search: str = ""
    filters: tuple[str, ...] = ()
    pipeline_tag: str = ""
    expand: tuple[str, ...] = ()
    full: bool = False
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
        return self.full or bool(self.expand)

    @property
    def page(self) -> int:
        """How many come at once."""
        return max(1, min(self.limit, FULL_PAGE if self.opens else PAGE))


def listed(context: Context, wanted: Wanted) -> tuple[list[dict[str, Any]], int | None]:
    """One page, and where the next begins if there is one."""
    snapshot = context.cache.now()
    found = list(_matching(context, snapshot, wanted))
    if wanted.sort:
        found.sort(key=lambda one: one[2].get(wanted.sort, 0), reverse=True)
    stop = wanted.cursor + wanted.page
    page = found[wanted.cursor : stop]
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
    if wanted.author and wanted.author.casefold() != body["author"]:
        return False
    if wanted.pipeline_tag and wanted.pipeline_tag != body["pipeline_tag"]:
        return False
    if not set(wanted.filters) <= {*body["tags"], body["pipeline_tag"]}:
        return False
    return wanted.search.casefold() in body["id"].casefold()


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
