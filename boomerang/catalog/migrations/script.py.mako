"""${message}."""

from boomerang.catalog.migrations.steps import add, may

revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}


def upgrade() -> None:
    """Say here what it adds, in full, and set HEAD in migrations/schema.py."""
