"""What is asked before a family is forgotten: what goes, what stays, what having it back takes."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.context import Context, ContextDep
from app.pages.rendering import page
from app.security.keys import check_may
from app.views import family_view

router = APIRouter(include_in_schema=False)
_NAMED = 5
"""How many other families of the student are named."""


@router.get("/families/{id_}/delete", response_class=HTMLResponse)
def ask_to_delete(id_: str, request: Request, context: ContextDep) -> Response:
    """The page that asks. Raises LacksScope, FamilyNotFound."""
    check_may(request, "publish")
    event = context.catalog.last_event()
    shown = family_view(context, id_)
    facts = {
        "family": shown,
        "label": shown["name"],
        "built": sum(one["built"] == "yes" for one in shown["members"]),
        "measured": sum(one["measured"] == "yes" for one in shown["members"]),
    }
    if "provisional" not in shown:
        facts |= _kept(context, shown["id"])
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
