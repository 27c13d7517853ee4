"""What was tried, when again, and names, repositories and commits that stay what they were."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, add, index, key, may, must, table

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """From schema 3 to 4."""
    add(
        "students",
        may("saved", sa.BigInteger),
        may("micro_batch", sa.BigInteger),
        may("killed_at", sa.BigInteger),
        may("verify", REAL),
        may("files", sa.JSON),
        may("away_since", REAL),
        may("due", REAL),
    )
    add("families", may("cancel", sa.Boolean), may("away_since", REAL), may("due", REAL))
    add("requests", may("away_since", REAL), may("due", REAL))
    table("sweeps", key("digest", sa.String(64)), must("sent", REAL), must("sends", sa.BigInteger))
    table(
        "revisions",
        key("commit", sa.String(40)),
        must("family", sa.String(16)),
        must("repo", sa.String),
        must("card", sa.String),
        must("facts", sa.JSON),
        sa.ForeignKeyConstraint(["family"], ["families.id"], ondelete="CASCADE"),
    )
    index("ix_revisions_family", "revisions", "family")
    table(
        "names", key("name", sa.String), must("family", sa.String(16)), must("teacher", sa.String)
    )
    index("ix_names_family", "names", "family")
    table(
        "repositories",
        key("repo", sa.String),
        must("family", sa.String(16)),
        must("private", sa.Boolean),
        must("card", sa.String),
    )
    index("ix_repositories_family", "repositories", "family")
