"""Errors as people read them: a page for who asked for one, a problem detail for all others."""

import json
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from app.pages.rendering import HEADERS, templates
from app.security.visitors import wants_page
from app.views import VARY

_KEPT = ("retry-after", "www-authenticate", "x-error-message")


def shown(request: Request, answer: JSONResponse) -> Response:
    """A problem as whoever asked reads it."""
    if not wants_page(request):
        return answer
    kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    facts = {"problem": json.loads(bytes(answer.body)), "event": 0, "back": _back(request)}
    return templates.TemplateResponse(
        request, "errors.html", facts, answer.status_code, HEADERS | VARY | kept
    )


def _back(request: Request) -> str | None:
    """The page of ours that led here, if one did."""
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    if not came.path or came.netloc != request.headers.get("host"):
        return None
    return came.path + (f"?{came.query}" if came.query else "")
