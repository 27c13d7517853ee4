"""Sessions of browsers: a cookie that is no key, and that every front end can read alone.

A cookie is `EXPIRES.NONCE.SEAL`: seconds since 1970, a random text, and an HMAC-SHA256 of both
under a key that is made of the digest of the API key and of BOOMERANG_SECRET. So nothing is stored,
a restart ends nothing, and a session ends with the key that it was begun with.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.security.keys import Keys
from boomerang.service.settings import Settings

COOKIE = "boomerang_session"
SECONDS = 14 * 24 * 3600
"""How long one lasts, whatever is done in it."""
_COOKIE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who logged in: what the key may do, and what the forms of this session are of."""

    held: int
    nonce: str
    key: bytes


class Sessions:
    """Begins, reads and ends sessions; `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.keys, self._clock = Keys(settings), clock
        self._secret = settings.secret.get_secret_value().encode()
        self._public = urlsplit(settings.public_url)

    def begin(self, given: str) -> str | None:
        """The cookie of a new session for who has a key; None where nobody knows that key."""
        known = self.keys.digest(given)
        if known is None:
            return None
        said = f"{int(self._clock()) + SECONDS}.{secrets.token_urlsafe(16)}"
        return f"{said}.{sealed(self._key(known[0]), said)}"

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is over, or of no key that is known now."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return None
        expires, nonce, seal = found.groups()
        for digest, held in self.keys.digests():
            key = self._key(digest)
            if hmac.compare_digest(sealed(key, f"{expires}.{nonce}"), seal):
                return Session(held, nonce, key) if int(expires) > self._clock() else None
        return None

    def of(self, request: Request) -> Session | None:
        """The session that a request came in, if it is one."""
        return self.read(request.cookies.get(self.name(request, COOKIE), ""))

    def give(
        self, request: Request, response: Response, name: str, value: str, seconds: int
    ) -> None:
        """Have a browser keep a cookie that no script of a page can read.

        Lax and not Strict: who follows a link from a mail or from the Hub is logged in, and what
        changes something has a token of its form beside.
        """
        secure = self.is_secure(request)
        response.set_cookie(self.name(request, name), value, max_age=seconds, path="/",
                            secure=secure, httponly=True, samesite="lax")  # fmt: skip

    def end(self, request: Request, response: Response) -> None:
        """Have a browser forget its session."""
        self.give(request, response, COOKIE, "", 0)

    def name(self, request: Request, name: str) -> str:
        """What a cookie is called: behind TLS as no other host and no plain page can set it."""
        return f"__Host-{name}" if self.is_secure(request) else name

    def is_secure(self, request: Request) -> bool:
        """Whether a browser asks over TLS: as the server was told, or by the public address.

        X-Forwarded-Proto is believed where uvicorn believes it (FORWARDED_ALLOW_IPS).
        """
        public = self._public.scheme == "https" and self._public.netloc
        return request.url.scheme == "https" or request.headers.get("host") == public

    def _key(self, digest: str) -> bytes:
        return hmac.digest(self._secret, f"boomerang session {digest}".encode(), "sha256")

    def form_key(self) -> bytes:
        """What the forms of who is not logged in are sealed with."""
        known = " ".join(digest for digest, _ in self.keys.digests())
        return hmac.digest(self._secret, f"boomerang form {known}".encode(), "sha256")


def sealed(key: bytes, said: str) -> str:
    """An HMAC-SHA256 in hex."""
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
