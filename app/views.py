"""What an address shows: in which representation, of which member, read from the catalog.

Which representation a request asks for, its Accept header alone decides. An address that has a
page and something for programs has a route for each, in app/pages and in app/api; which of the two
answers is decided while the route is looked for.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match
from starlette.types import Scope

from app.context import Context
from app.errors import problem
from app.schemas.families import family_json, provisional_json
from app.schemas.members import member_json
from app.security.owners import owned
from app.serving.catalog_cache import Snapshot, by_size
from boomerang.catalog.records.families import Member, successor

VARY = {"Vary": "Accept"}
"""What every answer of such an address says to caches."""

DOWNLOAD = "download"
"""The parameter of an address that is the file, whatever else is accepted."""


class Representation(Enum):
    """The forms in which an address may be had."""

    PAGE = auto()
    JSON = auto()
    TAR = auto()


def preferred(headers: Headers) -> Representation:
    """The page for a browser, which names text/html before JSON; JSON for who names it; else tar.

    Where there is no tar, JSON stands for it.
    """
    accept = headers.get("accept", "")
    html, json = accept.find("text/html"), accept.find("application/json")
    if html >= 0 and (json < 0 or html < json):
        return Representation.PAGE
    return Representation.JSON if json >= 0 else Representation.TAR


class PageRoute(APIRoute):
    """A route for those who ask for a page; for all others the next of its address is taken."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this request is for it."""
        found = super().matches(scope)
        # Some browsers ask for what a link has them keep as they ask for pages.
        kept = DOWNLOAD in QueryParams(scope.get("query_string", b""))
        if not kept and preferred(Headers(scope=scope)) is Representation.PAGE:
            return found
        return Match.NONE, {}


def family_view(request: Request, context: Context, id_: str, **more: Any) -> dict[str, Any]:
    """A family with its student, its ladder and whose it is, also by an id that it has had.

    Raises FamilyNotFound.
    """
    catalog = context.catalog
    waiting = catalog.waiting(id_)
    if waiting is not None:
        more |= owned(request, catalog, [id_])(id_)
        return provisional_json(waiting, context.redact, **more)
    family = catalog.family(catalog.family_id(id_))
    more |= owned(request, catalog, [family.id])(family.id)
    student, name = catalog.student(family.student), context.cache.now().name(family.id)
    members, requests = catalog.members(family.id), catalog.requests(family.id)
    if family.outdated is not None:
        more["successor"] = successor(family, catalog.families(teacher=family.teacher))
    return family_json(family, student, members, requests, name, context.redact, **more)


def family_views(request: Request, context: Context, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every family, newest first; before them those whose files are being hashed.

    They are asked for at once, however many there are.
    """
    catalog = context.catalog
    names, ladders = snapshot.names(), snapshot.ladders()
    students = {student.key: student for student in catalog.students()}
    outdated = [family for family in snapshot.families() if family.outdated is not None]
    after = {one.id: {"successor": successor(one, snapshot.families())} for one in outdated}
    requests, whose = catalog.all_requests(), owned(request, catalog)
    waiting = catalog.all_waiting()
    return [provisional_json(one, context.redact, **whose(one.id)) for one in waiting] + [
        family_json(
            family,
            students[family.student],
            ladders[family.id],
            requests.get(family.id, ()),
            names[family.id],
            context.redact,
            **after.get(family.id, {}),
            **whose(family.id),
        )
        for family in snapshot.families()
        if family.id in names and family.student in students
    ]


def member_views(
    context: Context, snapshot: Snapshot, members: Iterable[Member]
) -> list[dict[str, Any]]:
    """Members with the addresses under which they are had."""
    found = tuple(members)
    names = snapshot.names_of(member.family for member in found)
    return [
        member_json(member, names[member.family], context.redact)
        for member in found
        if member.family in names
    ]


def chosen(
    request: Request, context: Context, size: str, family: str | None, rest: str = ""
) -> tuple[Snapshot, Member] | Response:
    """The member of a size, in what the catalog holds now.

    307 from a budget to a size; 300 with the choices of several families.

    What asks for the file alone must not take the choices for it, which 300 does not prevent: it
    gets 409. `rest` is what follows the size in the address. Raises FamilyNotFound, SizeNotFound,
    BudgetOutOfRange.
    """
    snapshot = context.cache.now()
    found = by_size(snapshot, size, family)
    if len(found) > 1:
        if preferred(request.headers) is Representation.TAR:
            ways = ", ".join(sorted(member.family for member in found))
            return problem(409, "ambiguous", "Several have that size",
                           f"{len(found)} families have {size!r}.", value=size,
                           fix=f"Say which, as ?family=: {ways}.", headers=VARY)  # fmt: skip
        return JSONResponse({"choices": member_views(context, snapshot, found)}, 300, VARY)
    member = found[0]
    if member.size.casefold() == size.casefold():
        return snapshot, member
    query = {**dict(request.query_params), "family": member.family}
    return RedirectResponse(f"/models/{member.size}{rest}?{urlencode(query)}", 307, VARY)
