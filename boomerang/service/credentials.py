"""Tokens of the Hub that came with a request: sealed while its jobs last, read by workers alone.

The catalog keeps what nobody reads without BOOMERANG_SECRET. One token has one id, so that the same
request is the same one when it comes again; no token is found by its id.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.fernet import Fernet, InvalidToken

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.credentials import Credential
from boomerang.errors import BadRequest, Unusable
from boomerang.hub.client import acting_as
from boomerang.hub.rights import HEADER
from boomerang.service.settings import Settings

GONE = (
    "The Hub token that it was asked for with is not kept any more.",
    f"Ask for it again with {HEADER}.",
)
_TOKEN = re.compile(r"[\x21-\x7e]{8,4096}")


def seal(settings: Settings, token: str) -> Credential:
    """A token as the catalog may keep it. Raises BadRequest, which does not quote it."""
    if not _TOKEN.fullmatch(token):
        raise BadRequest(
            f"What came as {HEADER} is no token of the Hub.", fix="Send it as the Hub shows it."
        )
    secret = settings.secret.get_secret_value()
    if not secret:
        raise BadRequest(
            f"This service keeps no tokens: {HEADER} is refused.",
            fix="Publish with the service's own token, or have it started with BOOMERANG_SECRET.",
        )
    name = hmac.new(_key(secret, "names"), token.encode(), hashlib.sha256).hexdigest()[:32]
    return Credential(id=name, sealed=_box(secret).encrypt(token.encode()).decode())


def _box(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key(secret, "tokens")))


def _key(secret: str, of: str) -> bytes:
    return hmac.new(secret.encode(), f"boomerang {of}".encode(), hashlib.sha256).digest()


@contextmanager
def publishing_as(settings: Settings, catalog: Catalog, credential: str | None) -> Iterator[None]:
    """A context whose calls to the Hub are the requester's; without a credential, the service's.

    Raises Unusable where the token is gone, or was sealed with another secret.
    """
    if credential is None:
        yield
        return
    sealed = catalog.credential(credential)
    if sealed is None:
        detail, fix = GONE
        raise Unusable(detail, fix=fix)
    try:
        token = _box(settings.secret.get_secret_value()).decrypt(sealed.encode()).decode()
    except InvalidToken:
        # The cause would show nothing, and its traceback the sealed token.
        raise Unusable(
            "The Hub token that it was asked for with was sealed with another secret.",
            fix="Give front ends and workers the same BOOMERANG_SECRET, and ask again.",
        ) from None
    with acting_as(token):
        yield
