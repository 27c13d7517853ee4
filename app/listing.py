"""The list of families, a page at a time: what an address asks of it, and the address that follows.

`GET /families` and the home page are asked alike: `q`, `state`, `mine`, `limit` and `before`.
"""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.context import Context
from app.schemas.families import family_json, provisional_json
from app.security.keys import who
from app.security.owners import owned
from boomerang.catalog.records.families import Provisional
from boomerang.catalog.records.listing import FamilyPage, Place, ShownState

PAGE = 24


class Listing(BaseModel):
    """What is asked of the list."""

    model_config = ConfigDict(extra="ignore")

    q: str = Field("", max_length=200, description="stands in a name or a teacher; begins an id")
    state: ShownState | None = Field(None, description="of the student, or hashing")
    mine: bool = Field(False, description="only those that the key that asks owns")
    limit: int = Field(PAGE, ge=1, le=100, description="families of a page")
    before: str | None = Field(None, max_length=80, description="where it begins: see `next`")

    @field_validator("state", "before", mode="before")
    @classmethod
    def _unsaid(cls, value: Any) -> Any:
        """A field of a form that is left empty says nothing."""
        return value or None

    def page(self, request: Request, context: Context) -> FamilyPage:
        """The page that is asked for. Raises BadRequest for what is no place to begin at."""
        before = None if self.before is None else Place.parse(self.before)
        return context.catalog.family_page(
            self.q.strip(), self.state, limit=self.limit, before=before, owner=self.owner(request)
        )

    def owner(self, request: Request) -> str | None:
        """The key whose families alone are asked for; None where all are, or there are no keys."""
        return who(request).id if self.mine else None

    def address(self, path: str, **changes: Any) -> str:
        """The same list at a path, but for `changes`; what is as ever is not said."""
        asked = {**self.model_dump(exclude_defaults=True), **changes}
        said = {name: value for name, value in asked.items() if value not in (None, "", False)}
        said |= {"mine": "true"} if said.get("mine") else {}
        return f"{path}?{urlencode(said)}" if said else path

    def following(self, path: str, page: FamilyPage) -> str | None:
        """The address of the page after one, if there is one."""
        return None if page.following is None else self.address(path, before=str(page.following))


Asked = Annotated[Listing, Query()]


def listed(
    request: Request, context: Context, asked: Listing, path: str = "/families"
) -> dict[str, Any]:
    """A page of families as JSON: each whole, as `GET /families/{id}` has it."""
    page, catalog = asked.page(request, context), context.catalog
    shown = [one.id for one in page.families]
    whose = owned(request, catalog, shown)
    ids = page.ids
    ladders, requests = catalog.ladders(ids) if ids else {}, catalog.requests_of(ids)
    kept = [one for one in page.families if not isinstance(one, Provisional)]
    later = catalog.successors(kept)
    found = []
    for one in page.families:
        if isinstance(one, Provisional):
            found.append(provisional_json(one, context.redact, **whose(one.id)))
        elif one.student in page.students:
            more = {"successor": later[one.id]} if one.id in later else {}
            more |= whose(one.id)
            found.append(
                family_json(
                    one,
                    page.students[one.student],
                    ladders.get(one.id, ()),
                    requests.get(one.id, ()),
                    page.names.get(one.id, one.name),
                    context.redact,
                    **more,
                )
            )
    return {
        "families": found,
        "counts": catalog.family_counts(asked.owner(request)),
        "next": asked.following(path, page),
    }
