"""What is asked before a family is forgotten: what goes, what stays, what having it back takes."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.context import Context, ContextDep
from app.pages.rendering import page
from app.security.keys import acting, check_may
from app.views import VARY, Representation, family_view, preferred

router = APIRouter(include_in_schema=False)
_NAMED = 5
"""How many other families of the student are named."""


@router.get("/families/{id_}/delete", response_class=HTMLResponse)
def ask_to_delete(id_: str, request: Request, context: ContextDep) -> Response:
    """The page that asks; to programs what it says.

    Raises LacksScope, FamilyNotFound, NotYours.
    """
    check_may(request, "build")
    event = context.catalog.last_event()
    shown = family_view(request, context, id_)
    by = acting(request)
    context.catalog.check_owner(shown["id"], by)
    facts = {
        "family": shown,
        "label": shown["name"],
        # Whoever is not its last owner only lets go of it.
        "shared": by is not None and context.catalog.is_shared(shown["id"], by),
        "built": sum(one["built"] == "yes" for one in shown["members"]),
        "measured": sum(one["measured"] == "yes" for one in shown["members"]),
    }
    if "provisional" not in shown:
        facts |= _kept(context, shown["id"])
    if preferred(request.headers) is not Representation.PAGE:
        leaving = facts.get("leaving")
        return JSONResponse(context.redact({
            "family": shown["id"], "name": facts["label"], "members": len(shown["members"]),
            "built": facts["built"], "measured": facts["measured"], "shared": facts["shared"],
            "leaving": None if leaving is None else asdict(leaving),
        }), headers=VARY)  # fmt: skip
    return page(request, context, "family/delete.html", event, facts)


def _kept(context: Context, id_: str) -> dict[str, Any]:
    """What outlives a family: its student or not, its repositories, others of the student."""
    catalog, leaving = context.catalog, context.catalog.leaving(id_)
    family = catalog.family(id_)
    others = [one for one in catalog.families(student=family.student) if one.id != id_]
    return {
        "label": context.cache.now().name(id_),
        "leaving": leaving,
        "others": others[:_NAMED],
        "more_others": max(0, len(others) - _NAMED),
        "took": _lasting(leaving.seconds) if leaving.seconds >= 1 else None,
        "measuring_took": _lasting(leaving.measuring_seconds),
        "ends": not leaving.state.over and not leaving.stays,
    }


def _lasting(seconds: float) -> str:
    for unit, length, most in (("seconds", 1, 120), ("minutes", 60, 7200), ("hours", 3600, 172800)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
