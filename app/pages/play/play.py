"""The page where sizes are tried: one prompt, up to four sizes side by side, as they write.

Without JavaScript the form is answered by one size, once it has written all.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from app.context import Context, ContextDep
from app.pages.rendering import page
from app.schemas.members import member_json
from app.security.forms import Posted
from app.security.keys import may_have
from app.tried import ask, member_of, while_there
from app.views import PageRoute
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import StudentState
from boomerang.errors import BadRequest, BoomerangError, NotFound
from boomerang.service.playing.asked import MOST_CHARACTERS, Question

router = APIRouter(include_in_schema=False, route_class=PageRoute)

MOST_SIZES = 4
"""Side by side."""
_OFFERED = 24
"""Families to choose from: the newest that are ready; others are tried from their own pages."""
_DEFAULTS = {"prompt": "", "temperature": "0", "max_tokens": "", "mode": "text"}

Sizes = Annotated[list[str] | None, Query(alias="size")]


@router.get("/play", response_class=HTMLResponse)
async def play(
    request: Request, context: ContextDep, family: str = "", sizes: Sizes = None
) -> Response:
    """The form, with a family's sizes to choose from."""
    return await _page(request, context, family, sizes or [], {})


@router.post("/forms/play", response_class=HTMLResponse)
async def asked(request: Request, context: ContextDep, form: Posted) -> Response:
    """The form again, with what one size wrote, or why it wrote nothing."""
    family, sizes = str(form.get("family", "")), [str(one) for one in form.getlist("size")]
    typed = {name: str(form.get(name, "")) for name in (*_DEFAULTS, "draft")}
    try:
        answer = await _answer(request, context, family, sizes, _question(form))
    except NotFound:
        raise
    except BoomerangError as error:
        answer = {"error": f"{error.detail} {error.fix}".strip()}
        status = 422 if isinstance(error, BadRequest) else 409
        return await _page(request, context, family, sizes, typed, answer, status)
    if isinstance(answer, Response):
        return answer
    return await _page(request, context, family, sizes, typed, answer)


async def _answer(
    request: Request, context: Context, family: str, sizes: list[str], question: Question
) -> dict[str, Any] | Response:
    if not sizes:
        raise BadRequest("No size is chosen.", fix="Choose one.")
    member = await member_of(context, family, sizes[0])
    asking = await ask(request, context, member, question)

    async def read() -> tuple[str, dict[str, Any]]:
        text, last = "", dict[str, Any]()
        async for last in asking.events():
            text += last.get("text", "")
        return text, last

    # Whoever has gone on or loads the page again must not be written for.
    found = await while_there(request, read)
    if isinstance(found, Response):
        return found
    text, last = found
    failed = last.get("event") != "done"
    error = f"{last.get('reason', 'nothing came')}. {last.get('fix', '')}".strip()
    return {"size": member.size, "text": text, "done": last, "error": error if failed else ""}


def _question(form: FormData) -> Question:
    """What a form asks. Raises BadRequest."""
    prompt, most = str(form.get("prompt", "")), str(form.get("max_tokens", ""))
    said: dict[str, Any] = {"prompt": prompt}
    if form.get("mode") == "chat":
        said = {"messages": [{"role": "user", "content": prompt}]}
    if not prompt:
        raise BadRequest("Nothing is asked.", fix="Write a prompt.")
    try:
        return Question.model_validate({
            **said,
            "temperature": str(form.get("temperature", "")) or 0,
            "max_tokens": most or None,
            "draft": "draft" in form,
        })  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{first['loc'][0]}: {first['msg']}.", fix="Change it.") from None


async def _page(
    request: Request, context: Context, family: str, sizes: list[str],
    typed: Mapping[str, str], answer: Mapping[str, Any] | None = None, status: int = 200,
) -> Response:  # fmt: skip
    there, _ = await context.playing.row() if context.playing.on else (False, 0)

    def read() -> tuple[int, dict[str, Any]]:
        event = context.catalog.last_event()
        offered = context.catalog.family_page(state="ready", limit=_OFFERED)
        names = [(one.id, offered.names.get(one.id, one.name)) for one in offered.families]
        of = _family(request, context, family or (names[0][0] if names else ""))
        if of is not None and of["id"] not in dict(names):
            names.insert(0, (of["id"], of["label"]))
        return event, {"families": names, "of": of, "more": offered.following is not None}

    event, facts = await anyio.to_thread.run_sync(read)
    if facts["of"] is not None:
        facts["sizes"] = _chosen(facts["of"]["members"], sizes)
    facts |= {
        "on": context.playing.on, "there": there, "answer": answer,
        "typed": {**_DEFAULTS, **typed}, "most_tokens": context.settings.play_tokens,
        "most_sizes": MOST_SIZES, "most_characters": MOST_CHARACTERS,
    }  # fmt: skip
    answered = page(request, context, "play/play.html", event, facts, status)
    if answer is not None:
        # Nobody but who asked sees what was asked.
        answered.headers["Cache-Control"] = "no-store"
    return answered


def _family(request: Request, context: Context, id_: str) -> dict[str, Any] | None:
    """A family with its ladder, as far as it can be tried; None where there is none yet."""
    catalog = context.catalog
    if not id_:
        return None
    try:
        family: Family = catalog.family(catalog.family_id(id_))
    except NotFound:
        if catalog.waiting(id_) is None:
            raise
        return None
    name = context.cache.now().names().get(family.id, family.name)
    student = catalog.student(family.student)
    return {
        "id": family.id,
        "label": name,
        "teacher": context.redact.value(family.teacher),
        "chat": bool((family.about or {}).get("chat")),
        "mine": may_have(request, family),
        "ready": student.state is StudentState.READY,
        "state": str(student.state),
        "members": [member_json(one, name, context.redact) for one in catalog.members(family.id)],
    }


def _chosen(members: list[dict[str, Any]], asked: list[str]) -> list[str]:
    """The sizes that are tried: those asked for, else student, a middle one and the largest."""
    there = [str(member["size"]) for member in members]
    known = {size.casefold(): size for size in there}
    chosen = [known[size.casefold()] for size in asked if size.casefold() in known]
    if not chosen and there:
        chosen = [there[0], there[len(there) // 2], there[-1]]
    return list(dict.fromkeys(chosen))[:MOST_SIZES]
