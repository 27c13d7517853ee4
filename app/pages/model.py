"""The page of a size: whether to trust it, how to have it and run it, and where it comes from."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup

from app.context import Context, ContextDep
from app.pages.models.about import layers, memory, opened
from app.pages.rendering import page, templates
from app.schemas.families import family_json
from app.security.keys import may_have
from app.serving.catalog_cache import Snapshot
from app.views import PageRoute, chosen, member_views
from boomerang.catalog.records.families import Member
from boomerang.charts.drawing.figures import number, with_error

router = APIRouter(include_in_schema=False, route_class=PageRoute)


def _with_error(value: float | None, error: float | None) -> str:
    """A figure, and its standard error in small."""
    figure, _, spread = with_error(value, error).partition("\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return Markup("{} <small>± {}</small>").format(figure, spread) if spread else figure


templates.env.filters |= {
    "with_error": _with_error,
    "digits": number,
    "bytes": lambda value: f"{value:,} B" if value < 1_000_000 else f"{value / 1e6:,.2f} MB",
    "brief": lambda value: f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB",
    "percent": lambda value: "–" if value is None else f"{100 * value:.1f} %",
}
PARTS = ("state", "measures", "files", "card")


@router.api_route("/models/{size}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def model(size: str, request: Request, context: ContextDep, family: str | None = None) -> Response:
    """One size: how to have it and run it, what was measured, what it is made of."""
    event = context.catalog.last_event()
    found = chosen(request, context, size, family)
    if isinstance(found, JSONResponse):
        # Several have that size: people choose among pages.
        choices = json.loads(bytes(found.body)).get("choices", ())
        names = {one["family"]: context.cache.now().name(one["family"]) for one in choices}
        facts = {"size": size, "choices": choices, "names": names}
        return page(request, context, "model/choices.html", event, facts, 300)
    if isinstance(found, Response):
        return found
    snapshot, member = found
    base = (context.settings.public_url or str(request.base_url)).rstrip("/")
    facts = _facts(context, snapshot, member, base)
    of = snapshot.family(member.family)
    # Whoever may not have its bytes is offered none.
    facts["mine"] = may_have(request, of)
    return page(request, context, "model/model.html", event, facts, parts=PARTS)


def _facts(context: Context, snapshot: Snapshot, member: Member, base: str) -> dict[str, Any]:
    family = snapshot.family(member.family)
    student = snapshot.student(family.student)
    [shown] = member_views(context, snapshot, [member])
    name = snapshot.name(family.id)
    there, why = opened(context, snapshot, member, base)
    return {
        "member": shown,
        "of": member,
        "family": family_json(family, student, (), (), name, context.redact) | {"label": name},
        "opened": there,
        "why": why,
        "layers": layers(student, member),
        "memory": memory(family, student, member),
        "keyed": bool(context.settings.api_keys),
        "namespace": context.settings.namespace,
        "hub": context.settings.hub_endpoint.rstrip("/"),
        "play": getattr(context.settings, "play", False),
        "text": context.redact(student.data) if student.data else None,
    }
