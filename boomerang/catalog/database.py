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

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, orm, select, text

from boomerang.catalog.migrations import schema
from boomerang.catalog.records.states import CatalogChanged, Lease
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
# A writer that is frozen, or on a machine that fell silent, would stop all others.
_ALONE = "set_config('idle_in_transaction_session_timeout', :ms, true), pg_advisory_xact_lock(:key)"
_REVISION = f"SELECT version_num FROM {schema.REVISIONS.name}"  # noqa: S608 - a constant


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

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """Connect, create the tables where there are none, and bring older ones up to date.

        Raises BadRequest for a database that is neither SQLite nor PostgreSQL, that a later
        version has changed, or that is older and may not be changed (`migrate`).
        """
        self.engine = engine_of(url)
        self._sqlite = self.engine.dialect.name == "sqlite"
        self._writer = self.engine.execution_options(boomerang_write=True)
        # SQLite's busy handler polls and is not fair; threads of one process queue here instead.
        # On PostgreSQL those that wait would hold all connections, and leases need some.
        self._gate = threading.BoundedSemaphore(1 if self._sqlite else _WAITING)
        try:
            self._bring(migrate)
        except BaseException:
            self.close()
            raise

    def _bring(self, migrate: bool) -> None:
        with self.engine.begin() as connection:
            found = schema.read(connection)
        if found.current:
            return
        schema.check(found)
        with self._gate, self._writer.begin() as connection:
            schema.wait_for_writers(connection)
            take_turn(connection)
            schema.bring(connection, migrate=migrate)

    def _begin(self, connection: Connection) -> None:
        """Wait for one's turn to write, and refuse to where the tables are others by now."""
        if self._sqlite:
            revision = connection.exec_driver_sql(_REVISION).scalar()
        else:
            turn = text(f"SELECT {_ALONE}, ({_REVISION})")
            revision = connection.execute(turn, _turn()).one()[-1]
        _same(revision)

    def now(self, session: Session) -> float:
        """Unix seconds by the database's clock."""
        if self._sqlite:
            return time.time()
        # Asked once in a transaction, which then counts on: some ask it for each of many rows.
        began = session.info.get("clock")
        if began is None:
            statement = text("SELECT extract(epoch FROM clock_timestamp())::float8")
            now = float(session.execute(statement).scalar_one())
            session.info["clock"] = now - time.monotonic()
            return now
        return float(began) + time.monotonic()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading."""
        with Session(self.engine, self.now) as session:
            yield session

    @contextmanager
    def write(self, lease: Lease | None = None) -> Iterator[Session]:
        """A session for one change: committed when the block ends, rolled back when it raises.

        No other writer, in any process, is between its first statement and its commit meanwhile.
        Raises LostLease where `lease` is no longer its holder's, CatalogChanged where a later
        version has changed the tables since they were opened.
        """
        with self._gate, Session(self._writer, self.now) as session, session.begin():
            self._begin(session.connection())
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
            _same(session.scalar(text(_REVISION)))
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def engine_of(url: str) -> Engine:
    """The engine of a database, not opened yet. Raises BadRequest where it is of another kind."""
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


def take_turn(connection: Connection) -> None:
    """Wait until no other writer is between its first statement and its commit."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT {_ALONE}"), _turn())


def _same(revision: str | None) -> None:
    if revision != schema.HEAD:
        raise CatalogChanged(
            f"The catalog was brought to schema {revision}; this program knows {schema.HEAD}.",
            value=revision,
            fix="Restart it with the version of Boomerang that did so.",
        )


def _turn() -> dict[str, object]:
    return {"key": _WRITERS, "ms": str(int(_SILENCE * 1000))}


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
