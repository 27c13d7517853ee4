"""How often work without a row of its own was tried, and which bytes a member was built of."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, add, key, may, must, table

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """From schema 5 to 6."""
    add("members", may("made_of", sa.String))
    table(
        "tries",
        key("subject", sa.String),
        must("attempts", sa.BigInteger),
        may("away_since", REAL),
        may("due", REAL),
        must("sent", REAL),
        must("sends", sa.BigInteger),
    )
