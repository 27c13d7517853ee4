"""Families: asked for, listed, rebuilt, cancelled, deleted."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.schemas import RebuildRequest, family_json, provisional_json
from app.deps import Service, ServiceDep
from app.security import lacking, may
from boomerang.service.intake.pipeline import ask
from boomerang.service.intake.request import FamilyRequest
from boomerang.service.messages import KeyFamily

router = APIRouter(prefix="/families", tags=["families"])


def show(service: Service, id_: str, **more: Any) -> dict[str, Any]:
    """The JSON of a family, also by an id that it has had. Raises FamilyNotFound."""
    waiting = service.catalog.waiting(id_)
    if waiting is not None:
        return provisional_json(waiting, service.redact, **more)
    return _shown(service, service.catalog.family_id(id_), **more)


def _shown(service: Service, id_: str, **more: Any) -> dict[str, Any]:
    catalog = service.catalog
    family = catalog.family(id_)
    student = catalog.student(family.student)
    name = service.volumes.names()[id_]
    members, wants = catalog.members(id_), catalog.wants(id_)
    return family_json(family, student, members, wants, name, service.redact, **more)


def shown_all(service: Service) -> list[tuple[dict[str, Any], str]]:
    """The JSON of every family with its name, newest first; asked for at once, however many."""
    known, catalog = service.volumes.known(), service.catalog
    names, ladders = known.names(), known.ladders()
    students = {student.key: student for student in catalog.students()}
    wants = catalog.all_wants()
    return [
        (
            family_json(
                family,
                students[family.student],
                ladders[family.id],
                wants.get(family.id, ()),
                names[family.id],
                service.redact,
            ),
            names[family.id],
        )
        for family in known.families()
        if family.id in names and family.student in students
    ]


@router.post("", status_code=202, response_model=None)
async def create(
    body: FamilyRequest, request: Request, response: Response, service: ServiceDep
) -> dict[str, Any] | Response:
    """Plan a family and distil its student, once: the same request is the same family."""
    if body.publish is not None and not may(request, "publish"):
        return lacking("publish")

    def made() -> dict[str, Any]:
        id_, plan = ask(service.settings, service.catalog, service.producer, body)
        response.headers["Location"] = f"/families/{id_}"
        return show(service, id_, budget=plan.budget, cost=plan.cost)

    return await service.lanes.answered(made)


@router.get("/{id_}", response_model=None)
def read(
    id_: str, request: Request, response: Response, service: ServiceDep
) -> dict[str, Any] | Response:
    """A family with its student and its whole ladder."""
    response.headers["Vary"] = "Accept"
    if wants_page(request):
        from app.pages.pages import family_page

        return family_page(id_, request, service)
    return show(service, id_)


@router.get("")
def index(service: ServiceDep) -> dict[str, Any]:
    """Every family, newest first; before them those whose files are being hashed."""
    waiting = [provisional_json(one, service.redact) for one in service.catalog.all_waiting()]
    return {"families": waiting + [family for family, _ in shown_all(service)]}


@router.delete("/{id_}", status_code=204)
def delete(id_: str, service: ServiceDep) -> None:
    """Forget a family and what was built of it; its student stays cached."""
    catalog = service.catalog
    if not catalog.forget_waiting(id_):
        service.producer.sweep(catalog.delete_family(catalog.family_id(id_)))


@router.post("/{id_}/cancel", status_code=202)
def cancel(id_: str, service: ServiceDep) -> dict[str, Any]:
    """Stop the distillation, or the hashing before it."""
    catalog = service.catalog
    if not catalog.give_up(id_):
        catalog.cancel(catalog.family_id(id_))
    return show(service, id_)


@router.post("/{id_}/rebuild", status_code=202, response_model=None)
def rebuild(
    id_: str,
    request: Request,
    response: Response,
    service: ServiceDep,
    body: RebuildRequest | None = None,
) -> dict[str, Any] | Response:
    """Verify a family, and make what is missing; with `force`, a new generation beside it."""
    catalog = service.catalog
    event = catalog.last_event()
    again = catalog.hash_again(id_)
    if again is not None:
        # There is nothing to verify yet, and nothing to make another beside.
        if again:
            service.producer.send(KeyFamily(family=id_))
        response.headers["Location"] = f"/families/{id_}"
        return show(service, id_, event=event)
    id_ = catalog.family_id(id_)
    force = body is not None and body.force
    # A new generation is published wherever the one before it was to be.
    publishes = force and any(want.kind == "publish" for want in catalog.wants(id_))
    if publishes and not may(request, "publish"):
        return lacking("publish")
    rebuilt = catalog.rebuild(id_, force=force)
    service.volumes.forget(rebuilt.student.key)
    service.producer.start(rebuilt)
    response.headers["Location"] = f"/families/{rebuilt.family.id}"
    return show(service, rebuilt.family.id, event=rebuilt.event)


def wants_page(request: Request) -> bool:
    """Whether a browser asks: it names text/html before JSON."""
    accept = request.headers.get("accept", "")
    html, json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (json < 0 or html < json)
