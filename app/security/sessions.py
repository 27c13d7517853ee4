"""Sessions of browsers: a cookie that is no key, and that every front end can read alone.

A cookie is `EXPIRES.NONCE.SEAL`: seconds since 1970, a random text, and an HMAC-SHA256 of both
under a key that is made of the digest of the API key and of BOOMERANG_SECRET. So nothing is stored
but the nonces of those who logged out, a restart ends nothing, and a session ends with the key that
it was begun with. A key of the catalog is named by its id, before the seal: there may be many.

Whoever reads the catalog reads the digests of its keys. So without a BOOMERANG_SECRET their
sessions are sealed with a secret of this process, and end with it.
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

from app.security.ring import Keys, Known
from boomerang.service.settings import Settings

COOKIE = "boomerang_session"
SECONDS = 14 * 24 * 3600
"""How long one lasts, whatever is done in it."""
_COOKIE = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.(?:(k[a-z0-9]{11})\.)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who logged in: with which key, and what the forms of this session are of."""

    known: Known
    nonce: str
    key: bytes
    expires: int

    @property
    def held(self) -> int:
        """What its key may do now."""
        return self.known.held


class Sessions:
    """Begins, reads and ends sessions; `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.keys, self._clock = Keys(settings, clock), clock
        self._secret = settings.secret.get_secret_value().encode()
        self._own = self._secret or secrets.token_bytes(32)
        self._public = urlsplit(settings.public_url)

    def begin(self, given: str) -> str | None:
        """The cookie of a new session for who has a key; None where nobody knows that key."""
        known = self.keys.known(given)
        if known is None:
            return None
        said = f"{int(self._clock()) + SECONDS}.{secrets.token_urlsafe(16)}"
        if known.key is not None:
            said += f".{known.key.id}"
        return f"{said}.{sealed(self._key(known), said)}"

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is over, or of no key that is known now."""
        found = _COOKIE.fullmatch(cookie)
        if found is None:
            return None
        expires, nonce, id_, seal = found.groups()
        if id_ is None:
            tried = [self.keys.of_digest(digest) for digest in self.keys.digests()]
        else:
            tried = [self.keys.of_id(id_)]
        said = cookie.removesuffix(f".{seal}")
        for known in tried:
            key = b"" if known is None else self._key(known)
            if known is not None and hmac.compare_digest(sealed(key, said), seal):
                over = int(expires) <= self._clock() or self.keys.is_ended(nonce)
                return None if over else Session(known, nonce, key, int(expires))
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
        """End the session of a request, and have its browser forget it."""
        session: Session | None = getattr(request.state, "session", None)
        if session is not None:
            self.keys.end(session.nonce, session.expires)
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

    def _key(self, known: Known) -> bytes:
        secret = self._secret if known.key is None else self._own
        return hmac.digest(secret, f"boomerang session {known.digest}".encode(), "sha256")

    def form_key(self) -> bytes:
        """What the forms of who is not logged in are sealed with."""
        known = " ".join(self.keys.digests())
        return hmac.digest(self._secret, f"boomerang form {known}".encode(), "sha256")


def sealed(key: bytes, said: str) -> str:
    """An HMAC-SHA256 in hex."""
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
