"""One database behind the catalog: SQLite or PostgreSQL, with the same guarantees.

Writers are serial. SQLite has one writer anyway; on PostgreSQL an advisory lock makes it so. The
volume is small (states, and the steps of each worker's distillations once a second), and in return
a claim is a plain read-then-write, and event ids become visible in order, so that a stream of
events skips none. What keeps a lease alive does not stand in that line.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    orm,
    select,
    text,
    update,
)

from boomerang.catalog.base import SCHEMA_VERSION, Base, SchemaRow
from boomerang.catalog.records.states import Lease
from boomerang.catalog.tables import EventRow, LeaseRow
from boomerang.errors import BadRequest

_WRITERS = 0x626F6F6D
"""Key of the advisory lock that PostgreSQL writers take."""
_WAITING = 4
"""Writers of one process that wait for their turn in PostgreSQL."""
_PATIENCE = 30.0
"""Seconds that SQLite is given while others hold its database."""
_SILENCE = 10.0
"""Seconds that a PostgreSQL writer may say nothing before it loses its transaction."""

_LATER: dict[int, dict[str, tuple[str, ...]]] = {
    1: {"members": ("generation", "flags")},
    2: {"members": ("tasks",), "families": ("tasks",)},
    3: {
        "students": (
            "away_since", "due", "saved", "micro_batch", "killed_at", "verify", "files",
        ),
        "families": ("away_since", "due", "cancel"),
        "requests": ("away_since", "due"),
    },
    4: {},
    5: {"members": ("made_of",)},
    6: {
        **dict.fromkeys(("students", "families", "requests", "tries", "provisional"), ("waited",)),
        "repositories": ("made_of",),
    },
    7: {
        "students": ("map_rule", "pinned", "map_reason"),
        "families": ("replaced",),
        "members": ("agreement", "acceptance", "drafted", "by_position"),
    },
    8: {
        "families": ("outdated", "about"),
        "members": ("errors",),
        "students": ("hub_repo", "hub_commit"),
        "repositories": ("commit", "files", "gated", "credential"),
    },
    9: {"leases": ("since",), "requests": ("updated",), "families": ("shape", "state")},
    10: {
        **dict.fromkeys(
            ("families", "follows", "keeping", "notices", "provisional", "rebuilds", "tries"),
            ("trace",),
        ),
        "requests": ("trace", "owner"),
        "students": ("trace", "owner"),
    },
}  # fmt: skip
"""Columns that a schema lacks, by table; each may be null."""
_FILLED = {
    9: "UPDATE families SET state = (SELECT state FROM students WHERE key = families.student)"
}
"""What is written into them where more is known, by schema."""


class Session(orm.Session):
    """A transaction that knows the time, and writes down what happens in it."""

    def __init__(self, engine: Engine, clock: Callable[["Session"], float]) -> None:
        super().__init__(engine)
        self._clock = clock

    @property
    def writes(self) -> bool:
        """Whether it is a writer's."""
        return bool(self.get_bind().get_execution_options().get("boomerang_write"))

    def now(self) -> float:
        """Unix seconds by the clock that every worker shares: the database's."""
        return self._clock(self)

    def note(
        self,
        kind: str,
        payload: dict[str, Any],
        family: str | None = None,
        student: str | None = None,
    ) -> None:
        """Write an event within the change that it tells of."""
        now = self.now()
        self.add(EventRow(time=now, family=family, student=student, kind=kind, payload=payload))
        self.flush()

    def last_event(self) -> int:
        """The id of the newest event, 0 where there is none."""
        return self.scalar(select(func.max(EventRow.id))) or 0

    def held(self, lease: Lease) -> LeaseRow | None:
        """The row of a lease; None where somebody else has taken it since."""
        row = self.get(LeaseRow, lease.subject)
        same = row is not None and (row.holder, row.fence) == (lease.holder, lease.fence)
        return row if same else None

    def guard(self, lease: Lease) -> None:
        """Refuse a write of a holder that was replaced. Raises LostLease."""
        if self.held(lease) is None:
            raise lease.lost()


class Database:
    """Engine, schema and the two kinds of transaction. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Connect, and create the tables where there are none.

        Raises BadRequest for a database that is neither SQLite nor PostgreSQL, or whose tables
        were made by another version.
        """
        self.engine = _engine(url)
        self._sqlite = self.engine.dialect.name == "sqlite"
        self._writer = self.engine.execution_options(boomerang_write=True)
        # SQLite's busy handler polls and is not fair; threads of one process queue here instead.
        # On PostgreSQL those that wait would hold all connections, and leases need some.
        self._gate = threading.BoundedSemaphore(1 if self._sqlite else _WAITING)
        try:
            self._create()
        except BaseException:
            self.close()
            raise

    def _create(self) -> None:
        with self._gate, self._writer.begin() as connection:
            self._serialise(connection)
            Base.metadata.create_all(connection)
            version = connection.execute(select(SchemaRow.version)).scalar()
            if version is None:
                connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))
            elif version in _LATER:
                _migrate(connection, version)
            elif version != SCHEMA_VERSION:
                raise BadRequest(
                    f"The catalog has schema {version}; this program needs {SCHEMA_VERSION}.",
                    value=version,
                    fix="Run the version of Boomerang that made it, or use another database.",
                )

    def _serialise(self, connection: Connection) -> None:
        if not self._sqlite:
            # A writer that is frozen, or on a machine that fell silent, would stop all others.
            silence = {"key": _WRITERS, "ms": str(int(_SILENCE * 1000))}
            limit = "set_config('idle_in_transaction_session_timeout', :ms, true)"
            connection.execute(text(f"SELECT {limit}, pg_advisory_xact_lock(:key)"), silence)

    def now(self, session: Session) -> float:
        """Unix seconds by the database's clock."""
        if self._sqlite:
            return time.time()
        statement = text("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(session.execute(statement).scalar_one())

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading."""
        with Session(self.engine, self.now) as session:
            yield session

    @contextmanager
    def write(self, lease: Lease | None = None) -> Iterator[Session]:
        """A session for one change: committed when the block ends, rolled back when it raises.

        No other writer, in any process, is between its first statement and its commit meanwhile.
        Raises LostLease where `lease` is no longer its holder's.
        """
        with self._gate, Session(self._writer, self.now) as session, session.begin():
            self._serialise(session.connection())
            if lease is not None:
                session.guard(lease)
            yield session

    @contextmanager
    def renew(self) -> Iterator[Session]:
        """A session for one statement that guards itself and tells no event.

        In PostgreSQL it waits for no other writer, but for one of the same row.
        """
        if self._sqlite:
            with self.write() as session:
                yield session
            return
        with Session(self.engine, self.now) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _migrate(connection: Connection, version: int) -> None:
    """Bring older tables to the present shape, one version after another."""
    for older in range(version, SCHEMA_VERSION):
        for table, columns in _LATER[older].items():
            # A table that is younger than the schema was made whole just now.
            there = {column["name"] for column in inspect(connection).get_columns(table)}
            for column in (name for name in columns if name not in there):
                kind = Base.metadata.tables[table].c[column].type.compile(connection.dialect)
                connection.execute(text(f'ALTER TABLE {table} ADD COLUMN "{column}" {kind}'))
        if older in _FILLED:
            connection.execute(text(_FILLED[older]))
    for index in (one for table in Base.metadata.sorted_tables for one in table.indexes):
        index.create(connection, checkfirst=True)
    connection.execute(update(SchemaRow).values(version=SCHEMA_VERSION))


def _engine(url: str) -> Engine:
    address = make_url(url)
    backend = address.get_backend_name()
    if backend == "postgresql":
        return create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if backend != "sqlite":
        raise BadRequest(
            f"{backend} cannot hold the catalog.",
            value=backend,
            fix="Use an address that starts with sqlite:/// or postgresql://.",
        )
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        address, connect_args={"timeout": _PATIENCE}, pool_size=8, max_overflow=120
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and only before the first write.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection: Any) -> None:
    """Change a new database's journal; one that has been changed stays so.

    SQLite's own patience is not for this: beside another connection it may fail at once.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer in between:
    # SQLite would refuse it, whatever the timeout.
    writes = connection.get_execution_options().get("boomerang_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
