"""A PostgreSQL that is measured: its transactions, its processor, its slowest statements."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.support.databases import new_database, postgres_server

TICKS = os.sysconf("SC_CLK_TCK")
SETTINGS = ("fsync=on", "shared_preload_libraries=pg_stat_statements", "shared_buffers=256MB")


@dataclass(frozen=True)
class Load:
    """What a database did in so many seconds; `cpu` is in cores."""

    transactions: float
    cpu: float


@dataclass
class Server:
    """A server with one database, and the addresses of both."""

    address: str
    database: str

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """A connection of its own, beside all that is measured."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            yield connection

    def cpu(self) -> float:
        """Seconds of processor that its processes have used, those that ended included."""
        with self.connected() as connection:
            (child,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        parent = _stat(child)[1]
        found = [_stat(int(at.name)) for at in Path("/proc").iterdir() if at.name.isdigit()]
        mine = [fields for fields in found if fields and fields[1] == parent]
        ended = sum(int(word) for word in _stat(int(parent))[13:15])
        return (sum(int(f[11]) + int(f[12]) for f in mine) + ended) / TICKS

    def transactions(self) -> int:
        """Transactions that were committed or rolled back."""
        asked = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = %s"
        with self.connected() as connection:
            name = self.database.rpartition("/")[2]
            (count,) = connection.execute(asked, [name]).fetchone() or (0,)
        return int(count)

    def size(self) -> int:
        """Bytes of the database."""
        with self.connected() as connection:
            asked = "SELECT pg_database_size(current_database())"
            (count,) = connection.execute(asked).fetchone() or (0,)
        return int(count)

    @contextmanager
    def watched(self) -> Iterator[list[Load]]:
        """What it does meanwhile: the list has it afterwards."""
        found: list[Load] = []
        before, cpu, began = self.transactions(), self.cpu(), time.monotonic()
        yield found
        # What is counted is told now and then.
        took = time.monotonic() - began
        cpu = self.cpu() - cpu
        time.sleep(1.5)
        found.append(Load((self.transactions() - before) / took, cpu / took))

    def begin_statements(self) -> None:
        """Count statements from now on."""
        with self.connected() as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            connection.execute("SELECT pg_stat_statements_reset()")

    def statements(self, most: int = 8) -> list[tuple[float, int, float, str]]:
        """Those that took most: seconds in all, calls, milliseconds of each, words."""
        asked = (
            "SELECT total_exec_time / 1000, calls, mean_exec_time, query FROM pg_stat_statements"
            " JOIN pg_database d ON d.oid = dbid AND d.datname = current_database()"
            " ORDER BY 1 DESC LIMIT %s"
        )
        with self.connected() as connection:
            rows = connection.execute(asked, [most]).fetchall()
        return [(s, n, each, " ".join(words.split())) for s, n, each, words in rows]


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


@contextmanager
def running() -> Iterator[Server]:
    """A PostgreSQL as a team has it, with an empty database, until the block ends."""
    with postgres_server(*SETTINGS) as address:
        yield Server(address, new_database(address))
