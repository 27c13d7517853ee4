"""Browsers that nobody has logged in: sent to where that is done, and back to where they were."""

import re
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.security.scopes import FORMS, LOGIN, LOGOUT, changes

LONGEST = 1000
_OURS = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")


def wants_page(request: Request) -> bool:
    """Whether a browser is to show the answer: it names HTML before JSON.

    A part of a page (`?part=`) is fetched by the page, which shows no other page in its place.
    """
    accept = request.headers.get("accept", "")
    html, json = accept.find("text/html"), accept.find("application/json")
    named = html >= 0 and (json < 0 or html < json)
    return named and "part" not in request.query_params and "hx-request" not in request.headers


def login_page(request: Request) -> Response:
    """Send a browser to log in, and from there to what it asked for."""
    at = request.url.path
    if changes(request.method, at):
        # What was sent is gone; the page that it was sent from is there still.
        at = _page_of(request)
    elif request.url.query:
        at += f"?{request.url.query}"
    query = "" if at == "/" else f"?{urlencode({'next': next_page(at)})}"
    return RedirectResponse(f"{LOGIN}{query}", 303, {"Cache-Control": "no-store"})


def next_page(asked: str | None) -> str:
    """Where to go after logging in: a page of ours that was asked for, else the first one.

    Nothing that a browser could take for another host's address, nor for what is no page.
    """
    at = asked or "/"
    if not is_ours(at):
        return "/"
    path = at.partition("?")[0]
    return "/" if path in (LOGIN, LOGOUT) or path.startswith(FORMS) else at


def is_ours(at: str) -> bool:
    """Whether a browser takes an address for one of this host, however it reads it."""
    return len(at) <= LONGEST and _OURS.fullmatch(at) is not None


def _page_of(request: Request) -> str:
    """The page that a form was sent from."""
    came = request.headers.get("referer", "")
    try:
        found = urlsplit(came)
    except ValueError:
        return "/"
    ours = found.netloc == request.headers.get("host")
    return found.path + (f"?{found.query}" if found.query else "") if ours else "/"
