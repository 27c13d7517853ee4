"""Forms: each has a token that only a page of ours can have put there.

The token is an HMAC of what the browser holds in a cookie that pages of others cannot read: its
session, or, as long as it has none, a random text that it is given with its first form.
"""

import hmac
import re
import secrets
from typing import Annotated

from fastapi import Depends
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from app.errors import FormRefused
from app.security.sessions import Session, Sessions, sealed

FIELD = "csrf"
COOKIE = "boomerang_form"
SECONDS = 24 * 3600
MOST_FIELDS = 200
_LOOSE = re.compile(r"[A-Za-z0-9_-]{32}")


def csrf(request: Request) -> Markup:
    """The hidden field of a form; a browser that holds nothing yet is given what it is bound to."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, _token(request))


def give_cookie(request: Request, response: Response) -> None:
    """Give what a form of a page is bound to with that page, where the browser has it not yet."""
    new: str | None = getattr(request.state, "form_cookie", None)
    if new is not None:
        _sessions(request).give(request, response, COOKIE, new, SECONDS)


async def posted(request: Request) -> FormData:
    """What a form sent. Raises FormRefused where it is none of this browser's."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    sent = form.get(FIELD, "")
    bound = _session(request) is not None or _held(request) is not None
    if not bound or not hmac.compare_digest(str(sent).encode(), _token(request).encode()):
        raise FormRefused(
            "The form is too old, or was not made for this browser.",
            fix="Go back, load the page again, and send it once more. Cookies must be allowed.",
        )
    return form


Posted = Annotated[FormData, Depends(posted)]


def _token(request: Request) -> str:
    session = _session(request)
    if session is not None:
        return sealed(session.key, f"form {session.nonce}")
    held: str | None = getattr(request.state, "form_cookie", None) or _held(request)
    if held is None:
        held = request.state.form_cookie = secrets.token_urlsafe(24)
    return sealed(_sessions(request).form_key(), held)


def _held(request: Request) -> str | None:
    held = request.cookies.get(_sessions(request).name(request, COOKIE), "")
    return held if _LOOSE.fullmatch(held) else None


def _session(request: Request) -> Session | None:
    found: Session | None = getattr(request.state, "session", None)
    return found


def _sessions(request: Request) -> Sessions:
    found: Sessions = request.app.state.sessions
    return found
