"""The dashboard: pages rendered here, each with its JSON at the same address."""

import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from app.context import Context, ContextDep
from app.schemas.rebuilds import rebuild_json
from app.views import VARY, PageRoute, chosen, family_view, family_views, member_views
from boomerang.family.composition import bar, legend
from boomerang.family.order_forms import order_in_words

_REBUILDS = 5
"""How many of a family its page shows, the newest."""
router = APIRouter(include_in_schema=False)
negotiated = APIRouter(route_class=PageRoute)


def _figure(value: float | str | None, digits: int = 2) -> str:
    """A measured number; one that JSON has no number for comes as its name."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    """A part of one, in hundredths; of what was measured before it was, there is none."""
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _minute(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


_templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
_templates.env.filters |= {
    "bar": bar, "legend": legend, "order_in_words": order_in_words, "figure": _figure,
    "share": _share, "minute": _minute,
    "count": "{:,}".format,
    "mb": lambda value: f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.2f} MB",
}  # fmt: skip


@router.get("/", response_class=HTMLResponse)
def home(request: Request, context: ContextDep) -> Response:
    """Families and sizes, built and possible, with live state."""
    event = context.catalog.last_event()
    snapshot = context.cache.now()
    names = snapshot.names()
    families = [_labelled(family, names) for family in family_views(context, snapshot)]
    return _page(request, context, "home.html", event, families=families)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> Response:
    """What the interface takes and gives, from /openapi.json; nothing comes from elsewhere."""
    response = _templates.TemplateResponse(request, "docs.html")
    # Swagger writes styles into its elements, and has its pictures in its style sheet.
    ours = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    response.headers["Content-Security-Policy"] = f"{ours}; frame-ancestors 'none'"
    return response


@negotiated.get("/families/{id_}", response_class=HTMLResponse)
def family(id_: str, request: Request, context: ContextDep) -> Response:
    """One family: its student, its ladder, what was asked of it."""
    event = context.catalog.last_event()
    shown = _family(context, id_)
    rebuilds = [
        rebuild_json(one, context.redact)
        for one in context.catalog.rebuilds(shown["id"])[:_REBUILDS]
    ]
    return _page(request, context, "family.html", event, family=shown, rebuilds=rebuilds)


@negotiated.api_route("/models/{size}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def model(size: str, request: Request, context: ContextDep, family: str | None = None) -> Response:
    """One size: how to have it, and what was measured."""
    event = context.catalog.last_event()
    found = chosen(request, context, size, family)
    if isinstance(found, Response):
        return found
    snapshot, of = found
    [member] = member_views(context, snapshot, [of])
    shown = _family(context, of.family)
    return _page(request, context, "member.html", event, member=member, family=shown)


router.include_router(negotiated)


def _family(context: Context, id_: str) -> dict[str, Any]:
    return _labelled(family_view(context, id_), context.cache.now().names())


def _labelled(family: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A family with what pages call it: nothing that is being hashed has a name of its own."""
    return family | {"label": names.get(family["id"], family["name"])}


def _page(request: Request, context: Context, template: str, event: int, **facts: Any) -> Response:
    """A page; `event` is the newest from before its facts were read, so that none is missed."""
    facts["event"] = event
    facts["base"] = (context.settings.public_url or str(request.base_url)).rstrip("/")
    response = _templates.TemplateResponse(request, template, facts, headers=VARY)
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    return response
