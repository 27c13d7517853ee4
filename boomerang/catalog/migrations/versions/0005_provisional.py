"""Families whose files are not hashed yet."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, index, key, may, must, table

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """From schema 4 to 5."""
    table(
        "provisional",
        key("id", sa.String(16)),
        may("became", sa.String(16)),
        must("name", sa.String),
        must("plan", sa.JSON),
        must("requests", sa.JSON),
        must("wants", sa.JSON),
        must("state", sa.String),
        may("reason", sa.String),
        must("done", sa.BigInteger),
        must("total", sa.BigInteger),
        must("running", sa.Boolean),
        must("created", REAL),
        must("updated", REAL),
        must("attempts", sa.BigInteger),
        may("away_since", REAL),
        may("due", REAL),
        must("sent", REAL),
        must("sends", sa.BigInteger),
    )
    index("ix_provisional_became", "provisional", "became")
    index("ix_provisional_state", "provisional", "state")
