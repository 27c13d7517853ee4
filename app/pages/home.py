"""The home page: a card for each family, the newest first, with what it is doing right now."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup

from app.context import Context, ContextDep
from app.listing import Asked, Listing, listed
from app.pages.rendering import page
from app.views import VARY, Representation, preferred
from boomerang.catalog.listing.families import MANY
from boomerang.catalog.records.families import Family, Provisional
from boomerang.catalog.records.listing import SHOWN_STATES, FamilyPage, Rung
from boomerang.catalog.records.students import Student
from boomerang.charts.drawing.series import PERPLEXITY, Point
from boomerang.charts.spark import spark

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
def home(request: Request, context: ContextDep, asked: Asked) -> Response:
    """A page of families, searched and of one state where that is asked for."""
    if preferred(request.headers) is Representation.JSON:
        return JSONResponse(listed(context, asked, "/"), headers=VARY)
    event = context.catalog.last_event()
    facts = {"asked": asked, "searching": asked.q or asked.state or asked.before}

    def families() -> dict[str, Any]:
        shown = asked.page(context)
        return {
            "cards": _cards(context, shown),
            "states": _states(context, asked),
            "following": asked.following("/", shown),
            "newest": asked.address("/", before=None) if asked.before else None,
        }

    return page(request, context, "home/home.html", event, facts, parts={"families": families})


def _states(context: Context, asked: Listing) -> list[dict[str, Any]]:
    """The states to choose from, each with its address: those there are, and the chosen one."""
    counts = context.catalog.family_counts()
    return [
        {
            "name": state,
            "count": f"{MANY - 1}+" if counts[state] >= MANY else counts[state],
            "url": asked.address("/", state=state, before=None),
        }
        for state in SHOWN_STATES
        if counts[state] or asked.state == state
    ]


def _cards(context: Context, shown: FamilyPage) -> list[dict[str, Any]]:
    rungs = context.catalog.rungs(shown.ids) if shown.ids else {}
    cards = []
    for one in shown.families:
        if isinstance(one, Provisional):
            cards.append(_hashing(context, one))
        elif one.student in shown.students:
            name, student = shown.names.get(one.id, one.name), shown.students[one.student]
            cards.append(_card(context, one, name, student, rungs[one.id]))
    return cards


def _card(
    context: Context, family: Family, name: str, student: Student, rungs: Sequence[Rung]
) -> dict[str, Any]:
    facts = {
        "label": name,
        "teacher": family.teacher,
        "commit": family.commit,
        "outdated": family.outdated,
        "state": student.state,
        "reason": student.reason,
        "measuring": family.measuring,
        "measuring_reason": family.measuring_reason,
        "student": {
            name: getattr(student, name) for name in ("key", "step", "steps", "loss", "eta_s")
        },
        "layers": [len(student.kept), student.layers],
        "provisional": student.provisional,
        "sizes": [rung.size for rung in rungs],
    }
    counts = {
        fact: sum(getattr(rung, fact) == "yes" for rung in rungs)
        for fact in ("measured", "built", "published")
    }
    own = {"id": family.id, "created": family.created, "counts": counts, "curve": _curve(rungs)}
    return {**context.redact(facts), **own}


def _hashing(context: Context, waiting: Provisional) -> dict[str, Any]:
    """A family whose files are being hashed: what is planned of it, and how far that is."""
    student = waiting.plan["student"]
    facts = {
        "label": waiting.name,
        "teacher": waiting.plan["family"]["teacher"],
        "commit": waiting.plan["family"]["commit"],
        "state": waiting.state,
        "reason": waiting.reason,
        "measuring": "no",
        "layers": [len(student["kept"]), student["layers"]],
        "sizes": [member["size"] for member in waiting.plan["members"]],
    }
    own = {"id": waiting.id, "created": waiting.created, "counts": {}, "curve": ""}
    return {**context.redact(facts), **own, "done": waiting.done, "total": waiting.total}


def _curve(rungs: Sequence[Rung]) -> Markup:
    """The course of perplexity from the student to the teacher, where two sizes have one."""
    points = [Point(one.size, one.parameters, one.bytes, one.perplexity) for one in rungs]
    return Markup(spark(points, metric=PERPLEXITY))  # noqa: S704 - made by us, names escaped
