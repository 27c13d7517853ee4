"""Who may ask what: on loopback only this machine's own pages, elsewhere only holders of a key.

A page of another site must not reach a service on loopback, neither by DNS rebinding (the Host
header is checked) nor by a cross-site form (the Origin header and the content type are).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import MutableMapping
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NO_SNIFF, OPENAI, openai_error, problem, too_long
from boomerang.catalog.records.families import Family
from boomerang.errors import GatedTeacher
from boomerang.service.settings import Settings

WEBHOOK = "/webhooks/hub"
OPEN_PATHS = ("/healthz", "/readyz", WEBHOOK, "/docs", "/openapi.json")
READING_POSTS = re.compile(r"/api/models/[^/]+/[^/]+/paths-info/.+")
"""What the Hub's client asks by POST, as a form, though it changes nothing."""
PLANNING = ("/plan", "/teachers", "/new")
"""What has the Hub asked with the service's own token, though it changes nothing."""
TRYING = re.compile(r"/play/[^/]+/[^/]+|/v1/(chat/)?completions")
"""What has a size write something, which changes nothing that others see."""
TAKING_AWAY = re.compile(r"/families/[^/]+/cancel")
"""What ends somebody's work, beside DELETE; a family belongs to nobody in particular."""
BODY_BYTES, LIST_BYTES = 1 << 20, 4 << 20
"""The longest body, and the longest list of names of files; no request of sense comes near."""
KeyScope = Literal["read", "build", "publish"]
SCOPES: tuple[KeyScope, ...] = ("read", "build", "publish")
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


class Guard:
    """ASGI middleware that refuses what may not pass."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._hosts = set(_LOOPBACK)
        self._hosts |= {settings.host, urlsplit(settings.public_url).hostname or settings.host}
        self._check_hosts = settings.loopback
        self._keys = [_key(key.get_secret_value()) for key in settings.api_keys]
        self._webhook = settings.webhook_secret.get_secret_value()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        most = LIST_BYTES if _reads(request.method, request.url.path) else BODY_BYTES
        refusal = self._refusal(request, most)
        if refusal is not None and request.url.path.startswith(OPENAI):
            refusal = openai_error(refusal)
        answer = refusal or self.app
        await answer(scope, _bounded(receive, most), _plain(send))

    def _refusal(self, request: Request, most: int) -> Response | None:
        host = request.headers.get("host", "")
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).lower()
        if self._check_hosts and name not in self._hosts:
            fix = "Use 127.0.0.1, or set BOOMERANG_PUBLIC_URL."
            return problem(421, "host", "Not this host", f"This service is not {host!r}.",
                           value=host, fix=fix)  # fmt: skip
        changes = _changes(request.method, request.url.path)
        origin = request.headers.get("origin")
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return problem(403, "origin", "Another site's page", f"{origin!r} may not do this.",
                           value=origin, fix="Ask from the dashboard or a program.")  # fmt: skip
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        length = request.headers.get("content-length", "0")
        has_body = length != "0" or "transfer-encoding" in request.headers
        if changes and has_body and kind != "application/json":
            return problem(415, "content-type", "Not JSON", f"The body is {kind or 'untyped'!r}.",
                           value=kind, fix="Send Content-Type: application/json.")  # fmt: skip
        hub = request.url.path == WEBHOOK
        refusal = self._not_the_hub(request) if hub else self._unauthorised(request)
        return refusal or (too_long(most) if length.isdecimal() and int(length) > most else None)

    def _not_the_hub(self, request: Request) -> Response | None:
        secret, sent = self._webhook, request.headers.get("x-webhook-secret", "")
        if secret and hmac.compare_digest(sent.encode(), secret.encode()):
            return None
        return problem(401, "webhook", "Not from the Hub", "The webhook's secret is not ours.",
                       fix="Set BOOMERANG_WEBHOOK_SECRET to what the Hub sends.")  # fmt: skip

    def _unauthorised(self, request: Request) -> Response | None:
        needed = scope_of(request.method, request.url.path)
        if needed is None or not self._keys:
            return None
        given = _sent(request)
        digest = hashlib.sha256(given.encode()).hexdigest()
        scopes = {s for s, known in self._keys if hmac.compare_digest(known, digest)}
        if not given or not scopes:
            # A browser asks its user for a name and a password: any name, and the key. The Hub's
            # client shows the message; its token is our key.
            page = "text/html" in request.headers.get("accept", "")
            asks = 'Basic realm="Boomerang: any name, and a key", charset="UTF-8"'
            headers = {"WWW-Authenticate": asks if page else "Bearer",
                       "X-Error-Message": "An API key is needed, as HF_TOKEN."}  # fmt: skip
            return problem(401, "key", "A key is needed", "No known API key was sent.",
                           fix="Send Authorization: Bearer KEY.", headers=headers)  # fmt: skip
        request.state.held = max(len(SCOPES) if s == "" else SCOPES.index(s) for s in scopes)
        return None if may(request, needed) else lacking(needed)


def may(request: Request, scope: KeyScope) -> bool:
    """Whether the key of a request has a scope; where there are no keys, everybody has all."""
    held: int = getattr(request.state, "held", len(SCOPES))
    return held >= SCOPES.index(scope)


def lacking(scope: KeyScope) -> Response:
    """The answer to a key that lacks a scope."""
    why = f"This needs the scope {scope!r}."
    return problem(403, "scope", "Not with this key", why, value=scope,
                   fix="Use a key with that scope.", headers={"X-Error-Message": why})  # fmt: skip


def check_may_have(request: Request, family: Family) -> None:
    """Refuse members of a gated or private teacher or student to keys that may only read.

    The Hub let this service in, on its operator's terms, and nobody else, unless the operator says
    otherwise. Raises GatedTeacher.
    """
    settings: Settings = request.app.state.settings
    needed: KeyScope = "read" if settings.readers_of_gated else "build"
    if (family.gated or family.private) and not may(request, needed):
        raise GatedTeacher(
            f"The family of {family.teacher!r} is gated or private, and this key may only read.",
            value=family.teacher,
            fix="Use a key with the scope 'build', or have BOOMERANG_READERS_OF_GATED set.",
        )


def scope_of(method: str, path: str) -> KeyScope | None:
    """The scope that a key needs for this; None where none is asked for."""
    if path in OPEN_PATHS or path.startswith("/static/"):
        return None
    if TRYING.fullmatch(path):
        return "read"
    if not _changes(method, path):
        return "build" if path in PLANNING else "read"
    return "publish" if method == "DELETE" or TAKING_AWAY.fullmatch(path) else "build"


def _changes(method: str, path: str) -> bool:
    return method not in ("GET", "HEAD", "OPTIONS") and not _reads(method, path)


def _sent(request: Request) -> str:
    """The key of a request: as a token, as the password that a browser asks for, or a cookie."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        given = f"{kind} {value}".removeprefix("Bearer ").strip()
        return given or request.cookies.get("boomerang_key", "")
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _reads(method: str, path: str) -> bool:
    return method == "POST" and READING_POSTS.fullmatch(path) is not None


def _bounded(receive: Receive, most: int) -> Receive:
    """Read at most so many bytes of a body, whatever its sender said that there would be."""
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413, str(most))
        return message

    return bounded


def _plain(send: Send) -> Send:
    """Have browsers believe the type that an answer says."""

    async def plain(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *NO_SNIFF]
        await send(message)

    return plain


def _key(text: str) -> tuple[str, str]:
    """Scope ("" for all of them) and sha256 of a key written `scope:key` or `scope:sha256$hex`."""
    scope, colon, secret = text.partition(":")
    if not colon or scope not in SCOPES:
        scope, secret = "", text
    if secret.startswith("sha256$"):
        return scope, secret.removeprefix("sha256$").lower()
    return scope, hashlib.sha256(secret.encode()).hexdigest()
