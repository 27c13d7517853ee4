"""What is asked of a family that there is: more sizes published, more measured."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Created, Family, NewRequest
from boomerang.catalog.stores.requests import resolve
from boomerang.errors import NotReady
from boomerang.service.intake.publish_to import PublishTo
from boomerang.service.intake.publishing import options_of, settle
from boomerang.service.settings import Settings
from boomerang.texts import task_names

TaskName = Annotated[str, Field(min_length=1, max_length=200)]


class PublishRequest(PublishTo):
    """`POST /families/{id}/publish`: which sizes, and where to."""

    size: str = Field(
        min_length=1, max_length=200, description="a size's name, a budget, or * for every size"
    )


class MeasureRequest(BaseModel):
    """`POST /families/{id}/measure`: tasks to run beside those that were asked for before."""

    model_config = ConfigDict(extra="forbid")

    tasks: list[TaskName] | None = Field(
        default=None, max_length=50, description="tasks of lm-eval to run for every member"
    )
    task_limit: int | None = Field(
        default=None, ge=1, le=10**9, description="examples of each task; all without it"
    )


def check_hashed(catalog: Catalog, id_: str) -> str:
    """The id of a family by one that it has had. Raises FamilyNotFound; NotReady while hashing."""
    if catalog.waiting(id_) is not None:
        raise NotReady(
            f"The files of family {id_!r} are still being hashed.",
            value=id_,
            fix="Ask again once that is done, or name it in the request for the family.",
        )
    found = catalog.family_id(id_)
    catalog.family(found)
    return found


def publish(
    settings: Settings, catalog: Catalog, id_: str, body: PublishRequest, token: str | None,
    owner: str | None = None,
) -> Created:  # fmt: skip
    """Ask for sizes of a family on the Hub, with the requester's own `token` where there is one.

    The key that asks joins the family's owners.

    Raises SizeNotFound, BudgetOutOfRange, BadRequest, NamespaceRefused, HubFailure.
    """
    family = catalog.family(id_)
    what = _named(catalog, family, body.size)
    asked = PublishTo(**body.model_dump(exclude={"size"}))
    kept, credential = settle(settings, asked, token)
    options = options_of(kept, family.teacher, gated=family.gated, private=family.private)
    request = NewRequest(kind="publish", what=what, options=options)
    return catalog.add_requests(id_, [request], credential=credential, owner=owner)


def measure(
    catalog: Catalog, id_: str, tasks: Mapping[str, int | None], owner: str | None = None
) -> Created:
    """Have a family measured that was not, and by `tasks` on so many examples of each (None: all).

    Raises BadTask.
    """
    if tasks:
        task_names.check(list(tasks), None)
    return catalog.measure(id_, tasks, owner)


def _named(catalog: Catalog, family: Family, size: str) -> str:
    """A size as the ladder calls it; a budget stays one, as another order has other sizes."""
    if size == "*":
        return size
    [found, *_] = resolve(catalog.members(family.id), size)
    return found.size if found.size.casefold() == size.casefold() else size
