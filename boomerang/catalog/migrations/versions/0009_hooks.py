"""Webhooks, rebuilds that are kept, requesters' tokens, and students on the Hub."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, SERIAL, add, index, key, may, must, table

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    """From schema 8 to 9."""
    add("families", may("outdated", sa.String), may("about", sa.JSON))
    add("members", may("errors", sa.JSON))
    add("students", may("hub_repo", sa.String), may("hub_commit", sa.String))
    add(
        "repositories",
        may("commit", sa.String),
        may("files", sa.JSON),
        may("gated", sa.String),
        may("credential", sa.String),
    )
    _hooks()
    table(
        "credentials",
        key("id", sa.String(32)),
        must("sealed", sa.String),
        must("created", REAL),
        must("expires", REAL),
    )
    table(
        "rebuilds",
        key("id", SERIAL, autoincrement=True),
        must("family", sa.String(16)),
        must("force", sa.Boolean),
        must("state", sa.String),
        may("reason", sa.String),
        must("report", sa.JSON),
        must("created", REAL),
        may("started", REAL),
        may("finished", REAL),
        *_attempts(),
        sa.ForeignKeyConstraint(["family"], ["families.id"], ondelete="CASCADE"),
    )
    index("ix_rebuilds_family", "rebuilds", "family")
    index("ix_rebuilds_state", "rebuilds", "state")
    table(
        "keeping",
        key("key", sa.String(64)),
        must("over", sa.Boolean),
        *_attempts(),
        sa.ForeignKeyConstraint(["key"], ["students.key"], ondelete="CASCADE"),
    )


def _hooks() -> None:
    table(
        "moves",
        key("id", SERIAL, autoincrement=True),
        must("repo", sa.String),
        must("ref", sa.String),
        must("old", sa.String),
        must("new", sa.String),
        must("time", REAL),
    )
    index("one_move", "moves", "repo", "ref", "old", "new", unique=True)
    table(
        "follows",
        key("family", sa.String(16)),
        *_attempts(),
        sa.ForeignKeyConstraint(["family"], ["families.id"], ondelete="CASCADE"),
    )
    table("listeners", key("family", sa.String(16)), key("url", sa.String))
    table(
        "notices",
        key("id", sa.String(64)),
        must("family", sa.String(16)),
        must("url", sa.String),
        must("host", sa.String),
        must("kind", sa.String),
        must("data", sa.JSON),
        must("created", REAL),
        *_attempts(),
    )
    index("ix_notices_family", "notices", "family")
    index("ix_notices_host", "notices", "host")


def _attempts() -> tuple[sa.Column[object], ...]:
    return (
        must("attempts", sa.BigInteger),
        may("away_since", REAL),
        may("waited", REAL),
        may("due", REAL),
        must("sent", REAL),
        must("sends", sa.BigInteger),
    )
