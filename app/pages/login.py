"""Where a browser shows a key and is given a session for it, and where it gives that back."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.context import Context, ContextDep
from app.pages.rendering import page
from app.security.forms import Posted
from app.security.guesses import Guesses, address_of
from app.security.sessions import COOKIE, SECONDS, Sessions
from app.security.visitors import next_page

router = APIRouter(include_in_schema=False)
guesses = Guesses()

Next = Annotated[str | None, Query(alias="next")]
_NO_STORE = {"Cache-Control": "no-store"}


@router.get("/login", response_class=HTMLResponse)
def login(request: Request, context: ContextDep, asked: Next = None) -> Response:
    """The page that asks for a key; who has a session, or needs none, is sent on."""
    sessions: Sessions = request.app.state.sessions
    if not sessions.keys or request.state.session is not None:
        return RedirectResponse(next_page(asked), 303, _NO_STORE)
    return _page(request, context, asked)


@router.post("/login", response_class=HTMLResponse)
def log_in(request: Request, context: ContextDep, form: Posted) -> Response:
    """Begin a session; the page again where the key is not known, or too many were tried."""
    sessions: Sessions = request.app.state.sessions
    asked, address = str(form.get("next", "")), address_of(request)
    wait = guesses.wait(address)
    if wait:
        unit = "second" if wait == 1 else "seconds"
        answer = _page(
            request, context, asked, f"Too many keys were tried. Wait {wait} {unit}.", 429
        )
        answer.headers["Retry-After"] = str(wait)
        return answer
    given = str(form.get("key", "")).strip()
    if not given:
        return _page(request, context, asked, "Type a key.", 422)
    known, cookie = sessions.keys.known(given), sessions.begin(given)
    if known is None or cookie is None:
        guesses.wrong(address)
        return _page(request, context, asked, "This service knows no such key.", 401)
    guesses.right(address)
    request.state.who = known.who
    answer = RedirectResponse(next_page(asked), 303, _NO_STORE)
    sessions.give(request, answer, COOKIE, cookie, SECONDS)
    return answer


@router.post("/logout")
def log_out(request: Request, form: Posted) -> Response:
    """End a session, whoever holds a copy of its cookie."""
    sessions: Sessions = request.app.state.sessions
    answer = RedirectResponse("/login?done=out" if sessions.keys else "/", 303, _NO_STORE)
    sessions.end(request, answer)
    return answer


def _page(
    request: Request, context: Context, asked: str | None, error: str = "", status: int = 200
) -> Response:
    facts = {"next": next_page(asked), "error": error}
    answer = page(request, context, "login/login.html", 0, facts, status)
    answer.headers["Cache-Control"] = "no-store"
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
