"""The catalog's database: whether it answers, can be written, has the tables of this version."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, and_, create_engine, func, make_url, or_, select, text
from sqlalchemy.exc import SQLAlchemyError

from boomerang.catalog.migrations import schema
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.tables import FamilyRow, KeyRow, MemberRow, StudentRow
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding, clock, fail, ok, warn

CHECKPOINT = 12
"""Bytes of a checkpoint for each parameter that is trained, in float32: weight and two moments."""
_FAR = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "fuse.glusterfs"})
"""File systems on which SQLite's locks, or the memory it shares, are not to be relied on
(https://www.sqlite.org/wal.html)."""


def catalog(settings: Settings) -> Iterator[Finding]:
    """Whether the catalog can be used. Nothing is changed in it."""
    address = make_url(settings.database_url)
    where = address.render_as_string(hide_password=True)
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        if not path.is_file():
            yield ok("catalog", "There is none yet: it is made at the first start.", where)
            return
        yield from _sqlite(path)
    try:
        with connected(settings.database_url) as connection:
            found = schema.read(connection)
            yield ok("catalog", "It answers.", where)
            yield from _schema(found)
            if address.get_backend_name() == "postgresql":
                yield from _postgresql(connection)
    except SQLAlchemyError as error:
        yield fail("catalog", f"It does not answer: {_reason(error)}.",
                   "Start the database, and look at BOOMERANG_DATABASE_URL.", where)  # fmt: skip


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection that makes nothing and changes nothing. Raises SQLAlchemyError."""
    address = make_url(url)
    arguments = {}
    if address.get_backend_name() == "postgresql":
        address, arguments = address.set(drivername="postgresql+psycopg"), {"connect_timeout": 5}
    engine = create_engine(address, connect_args=arguments)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _reason(error: SQLAlchemyError) -> str:
    """The last line of what the driver says, which names no password."""
    said = str(getattr(error, "orig", None) or type(error).__name__)
    return said.strip().splitlines()[-1].strip().rstrip(".")


def _schema(found: schema.Schema) -> Iterator[Finding]:
    if found.current or found.empty:
        yield ok("schema", f"It is {found}, as this version needs it.", str(found))
    elif found.known:
        yield warn("schema", f"It is {found}, and this version needs {schema.HEAD}: the first "
                   "program of this version brings it there, unless it may not.",
                   "Stop older workers, then run `boomerang migrate`.", str(found))  # fmt: skip
    else:
        yield fail("schema", f"It is {found}, which this version does not know.",
                   "Run the version that made it, or a later one.", str(found))  # fmt: skip


def _sqlite(path: Path) -> Iterator[Finding]:
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        yield fail("catalog's file", "It, or its folder, cannot be written.",
                   "Give them to the user of the service.", str(path))  # fmt: skip
    kind = kind_of(path)
    if kind in _FAR:
        yield fail("catalog's file", f"It lies on a network file system ({kind}), where SQLite "
                   "may be damaged.", "Use PostgreSQL, or a local disk.", kind)  # fmt: skip


def kind_of(path: Path) -> str:
    """The kind of file system below a path; empty where that is not told."""
    try:
        lines = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    # https://man7.org/linux/man-pages/man5/fstab.5.html: device, place, kind; blanks are \040.
    mounts = [line.split()[1:3] for line in lines]
    whole = path.resolve()
    below = [
        (len(place), kind) for place, kind in mounts
        if whole.is_relative_to(place.replace("\\040", " "))
    ]  # fmt: skip
    return max(below, default=(0, ""))[1]


def _postgresql(connection: Connection) -> Iterator[Finding]:
    before = time.time()
    now, standby, most = connection.execute(text(
        "SELECT extract(epoch FROM clock_timestamp())::float8, pg_is_in_recovery(), "
        "current_setting('max_connections')::int"
    )).one()  # fmt: skip
    yield clock("database's clock", now - (before + time.time()) / 2, "the database")
    if standby:
        yield fail("catalog", "The server is a standby, which cannot be written.",
                   "Name the primary in BOOMERANG_DATABASE_URL.")  # fmt: skip
    if most < 50:
        yield warn("connections", f"The database takes {most} connections; front end and workers "
                   "may want some 20 each.", "Raise max_connections.", most)  # fmt: skip


@contextmanager
def _present(url: str) -> Iterator[Connection | None]:
    """A connection to a catalog of this version; None where there is no such catalog."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        yield None
        return
    with connected(url) as connection:
        yield connection if schema.read(connection).current else None


def has_keys(url: str) -> bool:
    """Whether the catalog has a key that can be used; no where it cannot be asked."""
    try:
        with _present(url) as connection:
            if connection is None:
                return False
            lasts = or_(KeyRow.expires.is_(None), KeyRow.expires > time.time())
            lives = and_(KeyRow.revoked.is_(None), lasts)
            return connection.execute(select(KeyRow.id).where(lives)).first() is not None
    except SQLAlchemyError:
        # That it does not answer is another finding.
        return False


def wanted_bytes(settings: Settings) -> int:
    """Room that the students which are not ready yet will take in the home. Raises SQLAlchemyError.

    That is the teacher, where it is not there yet, the student, and a checkpoint.
    """
    with _present(settings.database_url) as connection:
        if connection is None:
            return 0
        ends = (
            func.max(MemberRow.bytes),
            func.min(MemberRow.bytes),
            func.min(MemberRow.parameters),
        )
        open_ = (StudentState.QUEUED.value, StudentState.DISTILLING.value)
        rows = connection.execute(
            select(StudentRow.key, StudentRow.teacher_commit, StudentRow.teacher_source, *ends)
            .join(FamilyRow, FamilyRow.student == StudentRow.key)
            .join(MemberRow, MemberRow.family == FamilyRow.id)
            .where(StudentRow.state.in_(open_))
            .group_by(StudentRow.key, StudentRow.teacher_commit, StudentRow.teacher_source)
        ).all()
    total, teachers = 0, dict[str, int]()
    for _, commit, source, most, least, parameters in rows:
        total += least + CHECKPOINT * parameters
        if source is None and not settings.teacher_folder(commit).is_dir():
            teachers[commit] = most
    return total + sum(teachers.values())
