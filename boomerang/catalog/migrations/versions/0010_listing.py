"""What lists of families and jobs are found by."""

import sqlalchemy as sa
from alembic import op

from boomerang.catalog.migrations.steps import REAL, add, index, may

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    """From schema 9 to 10. The state of families is written anew whatever stood there."""
    add("leases", may("since", REAL))
    add("requests", may("updated", REAL))
    add("families", may("shape", sa.JSON), may("state", sa.String))
    op.execute(
        "UPDATE families SET state = (SELECT state FROM students WHERE key = families.student)"
    )
    index("ix_leases_expires", "leases", "expires")
    index("ix_families_settled", "families", "settled")
    index("ix_students_verify", "students", "verify")
    index("families_newest", "families", "created", "id")
    index("families_of_a_state", "families", "state", "created", "id")
    index("provisional_newest", "provisional", "became", "created", "id")
