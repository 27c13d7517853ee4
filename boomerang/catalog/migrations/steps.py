"""What the steps are written with. A step finds part of its work done where a program of before
there were steps made a table or a column early; so each adds only what is not there yet.
"""

from functools import partial

import sqlalchemy as sa
from alembic import op

must = partial(sa.Column, nullable=False)
may = partial(sa.Column, nullable=True)
key = partial(sa.Column, primary_key=True)
REAL = sa.Float(53)
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def table(name: str, *parts: sa.schema.SchemaItem, **options: bool) -> None:
    """Create a table that is not there."""
    op.create_table(name, *parts, if_not_exists=True, **options)


def index(name: str, of: str, *columns: str, unique: bool = False) -> None:
    """Create an index that is not there."""
    op.create_index(name, of, list(columns), unique=unique, if_not_exists=True)


def add(to: str, *columns: sa.Column[object]) -> None:
    """Add the columns that a table lacks; each may be null."""
    there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(to)}
    for column in columns:
        if column.name not in there:
            op.add_column(to, column)
