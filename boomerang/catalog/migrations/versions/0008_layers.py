"""How the layers of a student were chosen, and how like a member is to its teacher."""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, add, may

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    """From schema 7 to 8."""
    add("families", may("replaced", sa.JSON))
    add(
        "students",
        may("map_rule", sa.String),
        may("pinned", sa.Boolean),
        may("map_reason", sa.String),
    )
    add(
        "members",
        may("agreement", REAL),
        may("acceptance", REAL),
        may("drafted", REAL),
        may("by_position", sa.JSON),
    )
