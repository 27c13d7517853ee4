"""Keys: made, listed, revoked; and the sessions that were ended before their time.

A key is written `bmr_ID_SECRET`. Its id is no secret; of the whole only the sha256 is kept: what
slows guessing down helps what people choose, and not 32 random bytes.
"""

import hashlib
import re
import secrets
import string
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.records.keys import SCOPES, Key, KeyScope, Ring
from boomerang.catalog.store import Store, facts_of
from boomerang.catalog.tables import EndedRow, KeyRow
from boomerang.errors import BadRequest, NotFound

PREFIX = "bmr_"
"""What every key begins with, so that who scans for secrets finds it."""
LONGEST_SECONDS = 10 * 366 * 86400.0
"""How long a key lasts at most that does not last for good."""
_LETTERS = string.ascii_lowercase + string.digits
_ID = re.compile(r"k[a-z0-9]{11}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class KeyNotFound(NotFound):
    """No key is called so."""

    slug, title = "key-not-found", "No such key"


class KeyExists(BadRequest):
    """A name that a key has already, or had."""

    slug, title = "key-exists", "There is a key of that name"


class KeyStore(Store):
    """Keys, by id or by name."""

    def create_key(
        self, name: str, scope: KeyScope, *, lasts: float | None = None,
        quotas: Mapping[str, Any] | None = None,
    ) -> tuple[Key, str]:  # fmt: skip
        """Make a key that `lasts` so many seconds (None: for good); it, and how it is written.

        That is known to nobody afterwards. Raises KeyExists, BadRequest for a name, a scope or a
        time that is none.
        """
        _check(name, scope, lasts)
        id_ = "k" + "".join(secrets.choice(_LETTERS) for _ in range(11))
        written = f"{PREFIX}{id_}_{secrets.token_urlsafe(32)}"
        with self.db.write() as session:
            if session.scalar(select(KeyRow.id).where(KeyRow.name == name)) is not None:
                raise KeyExists(
                    f"There is, or was, a key called {name!r}.",
                    value=name,
                    fix="Take another name: what it did is kept by name.",
                )
            now = session.now()
            row = KeyRow(
                id=id_, name=name, digest=digest_of_key(written), scope=scope, created=now,
                quotas=dict(quotas) if quotas else None,
                expires=None if lasts is None else now + lasts,
            )  # fmt: skip
            session.add(row)
            session.flush()
            return _key(row), written

    def all_keys(self) -> tuple[Key, ...]:
        """Every key, those that are over too, oldest first."""
        with self.db.read() as session:
            rows = session.scalars(select(KeyRow).order_by(KeyRow.created, KeyRow.id))
            return tuple(_key(row) for row in rows)

    def key(self, name: str) -> Key:
        """A key by its id or its name. Raises KeyNotFound."""
        with self.db.read() as session:
            return _key(_row(session, name))

    def revoke_key(self, name: str) -> Key:
        """End a key, by its id or its name; one that was revoked stays so. Raises KeyNotFound."""
        with self.db.write() as session:
            row = _row(session, name)
            if row.revoked is None:
                row.revoked = session.now()
            return _key(row)

    def ring(self) -> Ring:
        """The keys that are neither revoked nor expired, and the sessions that were ended."""
        with self.db.read() as session:
            now = session.now()
            rows = session.scalars(select(KeyRow)).all()
            keys = {
                row.digest: _key(row)
                for row in rows
                if row.revoked is None and (row.expires is None or row.expires > now)
            }
            ended = session.scalars(select(EndedRow.nonce).where(EndedRow.expires > now))
            return Ring(keys=keys, ended=frozenset(ended), ever=bool(rows))

    def keys_used(self, when: Mapping[str, float]) -> None:
        """Remember when keys were seen, by id, in seconds since 1970; never an earlier time."""
        with self.db.write() as session:
            for id_, time in when.items():
                row = session.get(KeyRow, id_)
                if row is not None and (row.used or 0.0) < time:
                    row.used = time

    def end_session(self, nonce: str, expires: float) -> None:
        """A session is over though it `expires` later; those that are over by now are forgotten."""
        with self.db.write() as session:
            session.execute(delete(EndedRow).where(EndedRow.expires < session.now()))
            session.merge(EndedRow(nonce=nonce, expires=expires))


def digest_of_key(written: str) -> str:
    """The sha256 of a key in hex, as it is kept."""
    return hashlib.sha256(written.encode(errors="replace")).hexdigest()


def _check(name: str, scope: str, lasts: float | None) -> None:
    if not _NAME.fullmatch(name) or _ID.fullmatch(name) or name.startswith(PREFIX):
        raise BadRequest(
            f"{name!r} is no name for a key.",
            value=name,
            fix="Use up to 64 letters, digits and ._@-, beginning with a letter or a digit.",
        )
    if scope not in SCOPES:
        raise BadRequest(f"{scope!r} is no scope.", value=scope, fix=f"Use {', '.join(SCOPES)}.")
    if lasts is not None and not 0 < lasts <= LONGEST_SECONDS:
        raise BadRequest(
            f"A key cannot last {lasts:g} seconds.",
            value=lasts,
            fix="Let it last up to ten years, or say nothing of when it expires.",
        )


def _row(session: Session, name: str) -> KeyRow:
    row = session.get(KeyRow, name) if _ID.fullmatch(name) else None
    row = row or session.scalars(select(KeyRow).where(KeyRow.name == name)).one_or_none()
    if row is None:
        # Whoever gives the key itself is not told it again.
        shown = "that" if name.startswith(PREFIX) else repr(name)
        raise KeyNotFound(
            f"There is no key {shown}.",
            value=None if name.startswith(PREFIX) else name,
            fix="`boomerang keys list` names them.",
        )
    return row


def _key(row: KeyRow) -> Key:
    return Key(**facts_of(Key, row))
