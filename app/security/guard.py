"""Who may pass: on loopback only this machine's own pages, elsewhere only holders of a key.

A page of another site must not reach a service on loopback, neither by DNS rebinding (the Host
header is checked) nor by a cross-site form (Origin, Sec-Fetch-Site and the content type are, and
each form has a token: app/security/forms.py).
"""

import asyncio
import hmac
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NO_SNIFF, OPENAI, LacksScope, Shown, openai_error, problem, too_long
from app.security.allowances.rates import Rates
from app.security.audit import Auditor
from app.security.guesses import Guesses, address_of
from app.security.keys import EVERYTHING, NOTHING, may, sent_key
from app.security.scopes import WEBHOOK, changes, reads, scope_of, takes_forms
from app.security.sessions import Sessions
from app.security.visitors import login_page, wants_page
from boomerang.catalog.records.keys import NOBODY
from boomerang.service.settings import Settings

BODY_BYTES, LIST_BYTES = 1 << 20, 4 << 20
"""The longest body, and the longest list of names of files; no request of sense comes near."""
BODY_SECONDS = 60.0
"""How long a body may take, from its head on."""
WRONG, WRONG_SECONDS = 30, 2.0
"""How many wrong keys of an address are answered at once, and after how long one more is."""
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


class Guard:
    """ASGI middleware that refuses what may not pass, and says what the rest may do."""

    def __init__(
        self, app: ASGIApp, settings: Settings, sessions: Sessions, auditor: Auditor, shown: Shown
    ) -> None:
        self.app, self._shown, self._auditor = app, shown, auditor
        self._sessions, self._keys = sessions, sessions.keys
        self._hosts = set(_LOOPBACK)
        self._hosts |= {settings.host, urlsplit(settings.public_url).hostname or settings.host}
        self._check_hosts = settings.loopback
        self._webhook = settings.webhook_secret.get_secret_value()
        self._wrong = Guesses(free=WRONG, seconds=WRONG_SECONDS)
        self._rates = Rates(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        if scope_of(request.method, request.scope["path"]) or takes_forms(request.scope["path"]):
            await self._keys.fresh()
        # What routes are chosen by, as it stands: nothing of the Host header is in it.
        most = LIST_BYTES if reads(request.method, request.scope["path"]) else BODY_BYTES
        refused = self._refusal(request, most)
        refusal = self._rates.refusal(request, keyed=bool(self._keys)) or refused
        if isinstance(refusal, JSONResponse):
            openai = request.scope["path"].startswith(OPENAI)
            refusal = openai_error(refusal) if openai else self._shown(request, refusal)
        request.state.passed = refusal is None
        answer = refusal or self.app
        await answer(scope, _bounded(receive, most), self._plain(send, request))

    def _refusal(self, request: Request, most: int) -> Response | None:
        # What is answered here is answered to nobody in particular.
        request.state.held, request.state.session = NOTHING if self._keys else EVERYTHING, None
        request.state.who, request.state.key, request.state.digest = NOBODY, None, ""
        host = request.headers.get("host", "")
        if len(request.headers.getlist("host")) > 1:
            # A proxy on the way may have believed another one than we do.
            return problem(400, "host", "Several hosts", "A request is for one host.",
                           value=request.headers.getlist("host"), fix="Send one Host.")  # fmt: skip
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).lower()
        if self._check_hosts and name not in self._hosts:
            fix = "Use 127.0.0.1, or set BOOMERANG_PUBLIC_URL."
            return problem(421, "host", "Not this host", f"This service is not {host!r}.",
                           value=host, fix=fix)  # fmt: skip
        if request.scope["path"].endswith("\n"):
            # Routes take an address with a line's end for the one without it; scopes would not.
            return problem(404, "http", "Not Found", "Not Found", value=request.scope["path"],
                           fix="Leave the line's end out.")  # fmt: skip
        if changes(request.method, request.scope["path"]):
            refusal = _of_another_site(request, host) or _of_another_type(request)
            if refusal is not None:
                return refusal
        hub = request.scope["path"] == WEBHOOK
        refusal = self._not_the_hub(request) if hub else self._unauthorised(request)
        length = request.headers.get("content-length", "0")
        return refusal or (too_long(most) if length.isdecimal() and int(length) > most else None)

    def _not_the_hub(self, request: Request) -> Response | None:
        secret, sent = self._webhook, request.headers.get("x-webhook-secret", "")
        if secret and hmac.compare_digest(sent.encode(), secret.encode()):
            return None
        return problem(401, "webhook", "Not from the Hub", "The webhook's secret is not ours.",
                       fix="Set BOOMERANG_WEBHOOK_SECRET to what the Hub sends.")  # fmt: skip

    def _unauthorised(self, request: Request) -> Response | None:
        if not self._keys:
            return None
        given = sent_key(request)
        known = None if given is None else self._keys.known(given)
        session = self._sessions.of(request) if given is None else None
        request.state.session = session
        if session is not None:
            known = session.known
        if known is not None:
            request.state.held, request.state.who = known.held, known.who
            request.state.key, request.state.digest = known.key, known.digest
            self._keys.used(known)
        needed = scope_of(request.method, request.scope["path"])
        if needed is None:
            return None
        if known is None:
            return self._nobody(request, tried=given is not None)
        if session is not None and _from_nowhere(request):
            return problem(403, "origin", "From no page", "A session is for this service's pages.",
                           fix="Programs send Authorization: Bearer KEY.")  # fmt: skip
        if may(request, needed):
            return None
        why = f"This needs the scope {needed!r}."
        headers = {"X-Error-Message": why}
        return problem(403, "scope", LacksScope.title, why, value=needed,
                       fix="Use a key with that scope.", headers=headers)  # fmt: skip

    def _nobody(self, request: Request, *, tried: bool) -> Response:
        """The answer to who shows no key that is known: a browser is sent to log in.

        One that `tried` a password is asked for another by itself. Whoever tries many is told to
        wait; a right key is heard all the same, as many may share an address. The Hub's client
        shows the message; its token is our key.
        """
        page = wants_page(request)
        if not tried and page:
            return login_page(request)
        if tried:
            address = address_of(request)
            wait = self._wrong.wait(address)
            if wait:
                return problem(429, "too-many", "Too many wrong keys",
                               "Too many keys that nobody knows came from this address.",
                               fix="Correct the key, then ask again.",
                               headers={"Retry-After": str(wait)})  # fmt: skip
            self._wrong.wrong(address)
        asks = 'Basic realm="Boomerang: any name, and a key", charset="UTF-8"'
        headers = {"WWW-Authenticate": asks if page else "Bearer",
                   "X-Error-Message": "An API key is needed, as HF_TOKEN."}  # fmt: skip
        return problem(401, "key", "A key is needed", "No known API key was sent.",
                       fix="Send Authorization: Bearer KEY.", headers=headers)  # fmt: skip

    def _plain(self, send: Send, request: Request) -> Send:
        """Write down what was done, have browsers believe the type that an answer says, and no
        cache keep what a session has.
        """

        async def plain(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                await self._auditor.answered(request, message["status"], given)
                if request.state.session is not None and b"cache-control" not in dict(given):
                    # A cache on the way knows a key by its header, and nothing of our cookie.
                    given.append((b"cache-control", b"private, no-cache"))
                message["headers"] = [*given, *NO_SNIFF]
            await send(message)

        return plain


def _of_another_site(request: Request, host: str) -> Response | None:
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    ours = origin is None or origin.partition("://")[2] == host
    if ours and site in (None, "same-origin", "none"):
        return None
    shown = origin if not ours else site
    return problem(403, "origin", "Another site's page", f"{shown!r} may not do this.",
                   value=shown, fix="Ask from the dashboard or a program.")  # fmt: skip


def _from_nowhere(request: Request) -> bool:
    """Whether what changes something, and is no form with a token, says not which page it is of."""
    path = request.scope["path"]
    said = "origin" in request.headers or "sec-fetch-site" in request.headers
    return changes(request.method, path) and not takes_forms(path) and not said


def _of_another_type(request: Request) -> Response | None:
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    has_body = (
        request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    )
    form = takes_forms(request.scope["path"])
    needed = "application/x-www-form-urlencoded" if form else "application/json"
    if not has_body or kind == needed:
        return None
    title = "Not a form" if form else "Not JSON"
    return problem(415, "content-type", title, f"The body is {kind or 'untyped'!r}.",
                   value=kind, fix=f"Send Content-Type: {needed}.")  # fmt: skip


def _bounded(receive: Receive, most: int) -> Receive:
    """Read at most so many bytes of a body, whatever its sender said that there would be, and for
    so long; whoever then waits for the client to go may wait.
    """
    read, more, until = 0, True, asyncio.get_running_loop().time() + BODY_SECONDS

    async def bounded() -> Message:
        nonlocal read, more
        try:
            async with asyncio.timeout_at(until if more else None):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "Too slow") from None
        more = bool(message.get("more_body"))
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413, str(most))
        return message

    return bounded
