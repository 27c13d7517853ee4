"""Who may ask what: on loopback only this machine's own pages, elsewhere only holders of a key.

A page of another site must not reach a service on loopback, neither by DNS rebinding (the Host
header is checked) nor by a cross-site form (the Origin header and the content type are).
"""

import hashlib
import hmac
import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import problem
from boomerang.service.settings import Settings

OPEN_PATHS = ("/healthz", "/readyz", "/webhooks/hub", "/docs", "/openapi.json")
READING_POSTS = re.compile(r"/api/models/[^/]+/[^/]+/paths-info/.+")
"""What the Hub's client asks by POST, as a form, though it changes nothing."""
SCOPES = ("read", "build", "publish")
_LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "::1"}


class Guard:
    """ASGI middleware that refuses what may not pass."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._hosts = set(_LOOPBACK)
        self._hosts |= {settings.host, urlsplit(settings.public_url).hostname or settings.host}
        self._check_hosts = settings.loopback
        self._keys = [_key(key.get_secret_value()) for key in settings.api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        name = (host if host.endswith("]") else host.rsplit(":", 1)[0]).lower()
        if self._check_hosts and name not in self._hosts:
            fix = "Use 127.0.0.1, or set BOOMERANG_PUBLIC_URL."
            return problem(421, "host", "Not this host", f"This service is not {host!r}.",
                           value=host, fix=fix)  # fmt: skip
        changes = request.method not in ("GET", "HEAD", "OPTIONS") and not (
            request.method == "POST" and READING_POSTS.fullmatch(request.url.path)
        )
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
        return self._unauthorised(request, changes) if self._keys else None

    def _unauthorised(self, request: Request, changes: bool) -> Response | None:
        if request.url.path in OPEN_PATHS or request.url.path.startswith("/static/"):
            return None
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        given = given or request.cookies.get("boomerang_key", "")
        digest = hashlib.sha256(given.encode()).hexdigest()
        scopes = {s for s, known in self._keys if hmac.compare_digest(known, digest)}
        if not given or not scopes:
            # The Hub's client shows the message; its token is our key.
            headers = {"WWW-Authenticate": "Bearer",
                       "X-Error-Message": "An API key is needed, as HF_TOKEN."}  # fmt: skip
            return problem(401, "key", "A key is needed", "No known API key was sent.",
                           fix="Send Authorization: Bearer KEY.", headers=headers)  # fmt: skip
        needed = "build" if changes else "read"
        held = max(len(SCOPES) if s == "" else SCOPES.index(s) for s in scopes)
        if held < SCOPES.index(needed):
            why = f"This needs the scope {needed!r}."
            return problem(403, "scope", "Not with this key", why, value=needed,
                           fix="Use a key with that scope.",
                           headers={"X-Error-Message": why})  # fmt: skip
        request.state.may_publish = held >= SCOPES.index("publish")
        return None


def _key(text: str) -> tuple[str, str]:
    """Scope ("" for all of them) and sha256 of a key written `scope:key` or `scope:sha256$hex`."""
    scope, colon, secret = text.partition(":")
    if not colon or scope not in SCOPES:
        scope, secret = "", text
    if secret.startswith("sha256$"):
        return scope, secret.removeprefix("sha256$").lower()
    return scope, hashlib.sha256(secret.encode()).hexdigest()
