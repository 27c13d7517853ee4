"""Keys, who owns what, what was done with them, and how much they used."""

import sqlalchemy as sa
from alembic import op

from boomerang.catalog.migrations.steps import REAL, SERIAL, add, index, key, may, must, table

revision, down_revision = "0011", "0010"

TRACED = (
    "families", "follows", "keeping", "notices", "provisional", "rebuilds", "requests", "students",
    "tries",
)  # fmt: skip


def upgrade() -> None:
    """From schema 10 to 11, the last that has a number of its own."""
    for name in TRACED:
        add(name, may("trace", sa.String), may("parked", sa.Boolean))
    for name in ("requests", "students"):
        add(name, may("owner", sa.String(16)))
        index(f"ix_{name}_owner", name, "owner")
    _keys()
    table(
        "usage",
        key("key", sa.String(16)),
        key("day", sa.BigInteger, autoincrement=False),
        must("families", sa.BigInteger),
        must("requests", sa.BigInteger),
        must("device_seconds", REAL),
        must("bytes", sa.BigInteger),
        may("served", REAL),
    )
    table("plans", key("digest", sa.String), may("wrong", sa.String), must("checked", REAL))
    table(
        "unread",
        key("task", sa.String(200)),
        must("reason", sa.String),
        must("times", sa.BigInteger),
        must("first", REAL),
        must("last", REAL),
    )
    _sought()
    # Whoever was written before there were steps reads this, and refuses what it does not know.
    op.execute("UPDATE schema_version SET version = 11")


def _keys() -> None:
    table(
        "keys",
        key("id", sa.String(16)),
        must("name", sa.String),
        must("digest", sa.String(64)),
        must("scope", sa.String),
        may("quotas", sa.JSON),
        must("created", REAL),
        may("expires", REAL),
        may("revoked", REAL),
        may("used", REAL),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("digest"),
    )
    table("owners", key("family", sa.String(16)), key("key", sa.String(16)), must("since", REAL))
    index("families_of_a_key", "owners", "key", "family")
    table("ended_sessions", key("nonce", sa.String(32)), must("expires", REAL))
    index("ix_ended_sessions_expires", "ended_sessions", "expires")
    table(
        "audit",
        key("id", SERIAL, autoincrement=True),
        must("time", REAL),
        may("key", sa.String(16)),
        may("name", sa.String),
        must("action", sa.String),
        may("subject", sa.String),
        must("status", sa.BigInteger),
        may("trace", sa.String),
        may("detail", sa.JSON),
    )
    index("ix_audit_time", "audit", "time")
    index("ix_audit_key", "audit", "key")


def _sought() -> None:
    """Indexes for what would be looked for in every row, each few seconds, in a large catalog."""
    for fact in ("built", "measured", "published"):
        index(f"ix_members_{fact}", "members", fact)
    index("members_by_size", "members", "parameters", "family", "k")
    index("ix_families_outdated", "families", "outdated")
    index("tries_due", "tries", "due")
