"""The dashboard: pages rendered here, each with its JSON at the same address."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from app.api.families import shown_all
from app.api.schemas import family_json, member_json, provisional_json
from app.deps import Service, ServiceDep
from boomerang.catalog.records.families import Provisional
from boomerang.catalog.records.members import Member
from boomerang.family.picture import bar, legend, order_in_words

router = APIRouter(include_in_schema=False)

_templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
_templates.env.filters["count"] = lambda value: f"{value:,}"
_templates.env.filters["mb"] = lambda value: (
    f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.2f} MB"
)
_templates.env.filters["figure"] = lambda value, digits=2: (
    "–" if value is None else f"{value:.{digits}f}"
)
_templates.env.filters["bar"] = bar
_templates.env.filters["legend"] = legend
_templates.env.filters["order_in_words"] = order_in_words


@router.get("/", response_class=HTMLResponse)
def home(request: Request, service: ServiceDep) -> Response:
    """Families and sizes, built and possible, with live state."""
    event = service.catalog.last_event()
    families = [family | {"label": name} for family, name in shown_all(service)]
    waiting = [_waiting(service, one) for one in service.catalog.all_waiting()]
    return _page(request, service, "home.html", event, families=waiting + families)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> Response:
    """What the interface takes and gives, from /openapi.json; nothing comes from elsewhere."""
    response = _templates.TemplateResponse(request, "docs.html")
    # Swagger writes styles into its elements, and has its pictures in its style sheet.
    ours = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    response.headers["Content-Security-Policy"] = f"{ours}; frame-ancestors 'none'"
    return response


def family_page(id_: str, request: Request, service: Service) -> Response:
    """One family: its student, its ladder, what was asked of it."""
    event = service.catalog.last_event()
    waiting = service.catalog.waiting(id_)
    if waiting is not None:
        return _page(request, service, "family.html", event, family=_waiting(service, waiting))
    family = service.catalog.family(service.catalog.family_id(id_))
    name = service.volumes.names()[family.id]
    return _page(request, service, "family.html", event, family=_family(service, family.id, name))


def member_page(member: Member, request: Request, service: Service) -> Response:
    """One size: how to have it, and what was measured."""
    event = service.catalog.last_event()
    name = service.volumes.names()[member.family]
    return _page(
        request,
        service,
        "member.html",
        event,
        member=member_json(member, name, service.redact),
        family=_family(service, member.family, name),
    )


def _family(service: Service, id_: str, name: str) -> dict[str, Any]:
    catalog = service.catalog
    family = catalog.family(id_)
    student = catalog.student(family.student)
    members, wants = catalog.members(id_), catalog.wants(id_)
    return family_json(family, student, members, wants, name, service.redact, label=name)


def _waiting(service: Service, waiting: Provisional) -> dict[str, Any]:
    return provisional_json(waiting, service.redact, label=waiting.name)


def _page(
    request: Request, service: Service, template: str, event: int, **context: Any
) -> Response:
    """A page; `event` is the newest from before its facts were read, so that none is missed."""
    context["event"] = event
    context["base"] = (service.settings.public_url or str(request.base_url)).rstrip("/")
    response = _templates.TemplateResponse(request, template, context)
    response.headers["Vary"] = "Accept"
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    return response
