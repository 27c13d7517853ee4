"""From a size in an address to one member; else the answer that says where or which there is."""

from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from app.context import Context
from app.errors import problem
from app.negotiation import VARY, Representation, preferred
from app.serving.finding import by_size
from app.views import member_views
from boomerang.catalog.records.families import Member


def chosen(
    request: Request, context: Context, size: str, family: str | None, rest: str = ""
) -> Member | Response:
    """The member of a size. 307 from a budget to a size; 300 with the choices of several families.

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
        return member
    query = {**dict(request.query_params), "family": member.family}
    return RedirectResponse(f"/models/{member.size}{rest}?{urlencode(query)}", 307, VARY)
