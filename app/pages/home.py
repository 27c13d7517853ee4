"""The home page: a card for each family, the newest first, with what it is doing right now."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from markupsafe import Markup

from app.context import Context, ContextDep
from app.listing import Asked, Listing, listed
from app.pages.new import blank
from app.pages.rendering import page
from app.security.keys import may, who
from app.security.owners import owned
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
        return JSONResponse(listed(request, context, asked, "/"), headers=VARY)
    event = context.catalog.last_event()
    facts = {"asked": asked, "searching": asked.q or asked.state or asked.before or asked.mine}

    def families() -> dict[str, Any]:
        shown = asked.page(request, context)
        first = not shown.families and not facts["searching"] and may(request, "build")
        return (blank(context) if first else {}) | {
            # The first thing to do here is to ask for one.
            "first": first,
            # Where there are no keys, that a family is yours says nothing.
            "keyed": who(request).id is not None,
            "cards": _cards(request, context, shown),
            "states": _states(context, asked, asked.owner(request)),
            "following": asked.following("/", shown),
            "newest": asked.address("/", before=None) if asked.before else None,
        }

    return page(request, context, "home/home.html", event, facts, parts={"families": families})


def _states(context: Context, asked: Listing, owner: str | None) -> list[dict[str, Any]]:
    """The states to choose from, each with its address: those there are, and the chosen one."""
    counts = context.catalog.family_counts(owner)
    return [
        {
            "name": state,
            "count": f"{MANY - 1}+" if counts[state] >= MANY else counts[state],
            "url": asked.address("/", state=state, before=None),
        }
        for state in SHOWN_STATES
        if counts[state] or asked.state == state
    ]


def _cards(request: Request, context: Context, shown: FamilyPage) -> list[dict[str, Any]]:
    rungs = context.catalog.rungs(shown.ids) if shown.ids else {}
    cards, whose = [], owned(request, context.catalog, [one.id for one in shown.families])
    for one in shown.families:
        if isinstance(one, Provisional):
            cards.append(_hashing(context, one))
        elif one.student in shown.students:
            name, student = shown.names.get(one.id, one.name), shown.students[one.student]
            cards.append(_card(context, one, name, student, rungs[one.id]))
    keyed = who(request).id is not None
    return [card | {"yours": keyed and whose(card["id"])["yours"]} for card in cards]


def _card(
    context: Context, family: Family, name: str, student: Student, rungs: Sequence[Rung]
) -> dict[str, Any]:
    said = {
        "label": name,
        "teacher": family.teacher,
        "reason": student.reason,
        "measuring_reason": family.measuring_reason,
    }
    return {
        **context.redact(said),
        "id": family.id,
        "commit": family.commit,
        "outdated": family.outdated,
        "state": student.state,
        "student": student,
        "provisional": student.provisional,
        "layers": (len(student.kept), student.layers),
        "measuring": family.measuring,
        "sizes": [rung.size for rung in rungs],
        "counts": {
            fact: sum(getattr(rung, fact) == "yes" for rung in rungs)
            for fact in ("measured", "built", "published")
        },
        "curve": _curve(tuple((one.size, one.parameters, one.perplexity) for one in rungs)),
        "created": family.created,
    }


def _hashing(context: Context, waiting: Provisional) -> dict[str, Any]:
    """A family whose files are being hashed: what is planned of it, and how far that is."""
    student = waiting.plan["student"]
    teacher = waiting.plan["family"]["teacher"]
    said = {"label": waiting.name, "teacher": teacher, "reason": waiting.reason}
    return {
        **context.redact(said),
        "id": waiting.id,
        "commit": waiting.plan["family"]["commit"],
        "state": waiting.state,
        "layers": (len(student["kept"]), student["layers"]),
        "measuring": "no",
        "sizes": [member["size"] for member in waiting.plan["members"]],
        "counts": {},
        "created": waiting.created,
        "done": waiting.done,
        "total": waiting.total,
    }


@lru_cache(1024)
def _curve(sizes: tuple[tuple[str, int, float | None], ...]) -> Markup:
    """The course of perplexity from the student to the teacher, where two sizes have one."""
    points = [Point(name, parameters, 0, value) for name, parameters, value in sizes]
    return Markup(spark(points, metric=PERPLEXITY))  # noqa: S704 - made by us, names escaped
