"""The dashboard: pages rendered here, each with its JSON at the same address."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from app.deps import Service, ServiceDep
from app.schemas import family_json, member_json
from boomerang.service.records import Member

router = APIRouter(include_in_schema=False)

_templates = Jinja2Templates(directory=Path(__file__).parent.parent / "templates")
_templates.env.filters["count"] = lambda value: f"{value:,}"
_templates.env.filters["mb"] = lambda value: (
    f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.2f} MB"
)
_templates.env.filters["figure"] = lambda value, digits=2: (
    "–" if value is None else f"{value:.{digits}f}"
)


@router.get("/", response_class=HTMLResponse)
def home(request: Request, service: ServiceDep) -> Response:
    """Families and sizes, built and possible, with live state."""
    families = [_family(service, family.id) for family in service.catalog.families()]
    return _page(request, "home.html", families=families)


def family_page(id_: str, request: Request, service: Service) -> Response:
    """One family: its student, its ladder, what was asked of it."""
    return _page(request, "family.html", family=_family(service, id_))


def member_page(member: Member, request: Request, service: Service) -> Response:
    """One size: how to have it, and what was measured."""
    name = service.library.names()[member.family]
    return _page(
        request,
        "member.html",
        member=member_json(member, name),
        family=_family(service, member.family),
        base=str(request.base_url).rstrip("/"),
    )


def _family(service: Service, id_: str) -> dict[str, Any]:
    catalog = service.catalog
    family = catalog.family(id_)
    name = service.library.names()[id_]
    members = sorted(catalog.members(id_), key=lambda m: (m.parameters, m.k))
    return family_json(
        family, catalog.student(family.student), members, catalog.wants(id_), name, label=name
    )


def _page(request: Request, template: str, **context: Any) -> Response:
    response = _templates.TemplateResponse(request, template, context)
    response.headers["Vary"] = "Accept"
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    return response
