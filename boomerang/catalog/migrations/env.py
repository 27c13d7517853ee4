"""What Alembic runs for each of its commands: one transaction over a connection.

The connection is the program's own (upgrading.py), or one to the database that is named: `alembic
-x url=sqlite:///FILE current`.
"""

from alembic import context
from sqlalchemy import Connection

from boomerang.catalog import tables
from boomerang.catalog.base import Base
from boomerang.catalog.database import engine_of

assert tables.FamilyRow.metadata is Base.metadata  # noqa: S101 - the tables are known only then


def run(connection: Connection) -> None:
    """Run what was asked for. A step that fails leaves nothing, on either database."""
    context.configure(connection, target_metadata=Base.metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with engine_of(url).execution_options(boomerang_write=True).begin() as opened:
        run(opened)
