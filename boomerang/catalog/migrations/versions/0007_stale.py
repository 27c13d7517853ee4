"""Repositories that are to be published again, and what is known of the files of models."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, add, index, key, may, must, table

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    """From schema 6 to 7."""
    for name in ("families", "provisional", "requests", "students", "tries"):
        add(name, may("waited", REAL))
    add("repositories", may("made_of", sa.String))
    table(
        "stale",
        key("repo", sa.String),
        must("family", sa.String(16)),
        must("since", REAL),
        must("sent", REAL),
        must("sends", sa.BigInteger),
    )
    index("ix_stale_family", "stale", "family")
    table("model_files", key("commit", sa.String(64)), must("files", sa.JSON))
    table(
        "comparisons",
        key("teacher", sa.String(64)),
        key("student", sa.String(64)),
        must("same", sa.Boolean),
    )
