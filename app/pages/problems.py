"""Errors as people read them: a page for who asked for one, a problem detail for all others."""

import json
import re
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from app.pages.rendering import HEADERS, templates
from app.security.visitors import is_ours, wants_page
from app.views import VARY

_FOR_PROGRAMS = re.compile(r"""[{"]|GET /|Authorization|\bX-[A-Z]""")
_KEPT = ("retry-after", "www-authenticate", "x-error-message")


def shown(request: Request, answer: JSONResponse) -> Response:
    """A problem as whoever asked reads it."""
    if not wants_page(request):
        return answer
    kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    problem = json.loads(bytes(answer.body))
    problem["fix"] = for_people(problem["fix"])
    facts = {"problem": problem, "event": 0, "back": _back(request)}
    return templates.TemplateResponse(
        request, "errors.html", facts, answer.status_code, HEADERS | VARY | kept
    )


def for_people(fix: str) -> str:
    """What helps, but for what only a program can do."""
    return "" if _FOR_PROGRAMS.search(fix) else fix


def _back(request: Request) -> str | None:
    """The page of ours that led here, if one did."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    if not came.path or came.netloc != request.headers.get("host"):
        return None
    at = came.path + (f"?{came.query}" if came.query else "")
    return at if is_ours(at) else None
