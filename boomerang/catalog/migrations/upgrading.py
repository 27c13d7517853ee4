"""Alembic, run over a connection of the program's own."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_ONE = threading.Lock()
"""Alembic keeps what it works on in the process."""


def config() -> Config:
    """What Alembic has to know: where the steps are."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    found.set_main_option("path_separator", "os")
    return found


def upgrade(connection: Connection, to: str = "head") -> None:
    """Take every step that the catalog lacks up to one, in the transaction of the connection."""
    with _ONE:
        told = config()
        told.attributes["connection"] = connection
        command.upgrade(told, to)
