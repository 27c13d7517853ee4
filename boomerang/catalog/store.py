"""What every store of the catalog stands on: the database, and rows turned into records."""

from dataclasses import fields
from typing import Any, TypeVar

from boomerang.catalog.base import Base
from boomerang.catalog.database import Database, Session
from boomerang.catalog.records.families import Provisional
from boomerang.catalog.records.states import Fact, Keying, StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.catalog.tables import FamilyRow, MemberRow, StudentRow
from boomerang.errors import FamilyNotFound, NotFound, SizeNotFound

Record = TypeVar("Record")

_ENUMS: dict[str, type] = {
    "origin": Origin,
    "built": Fact,
    "measured": Fact,
    "published": Fact,
    "measuring": Fact,
}

_STATES: dict[type, type] = {Student: StudentState, Provisional: Keying}


class Store:
    """What can be asked of one noun of the catalog, and how it changes.

    Whoever names what is not there meets NotFound, FamilyNotFound or SizeNotFound; whoever writes
    under a `lease` that somebody else has by now LostLease, or IllegalTransition (transitions.py).
    """

    def __init__(self, db: Database) -> None:
        self.db = db


def record(kind: type[Record], row: Base) -> Record:
    """The frozen record of a row: the fields of the same names."""
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        value = getattr(row, field.name)
        if field.name in _ENUMS:
            value = _ENUMS[field.name](value)
        elif field.name == "state":
            value = _STATES.get(kind, Fact)(value)
        elif isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return kind(**values)


def facts_of(kind: type, thing: object) -> dict[str, Any]:
    """What a row or a record has of the fields of a kind of record."""
    return {field.name: getattr(thing, field.name) for field in fields(kind)}


def family_row(session: Session, family: str) -> FamilyRow:
    """The row of a family. Raises FamilyNotFound."""
    row = session.get(FamilyRow, family)
    if row is None:
        raise FamilyNotFound(
            f"There is no family {family!r}.", value=family, fix="GET /families lists them."
        )
    return row


def student_row(session: Session, key: str) -> StudentRow:
    """The row of a student. Raises NotFound."""
    row = session.get(StudentRow, key)
    if row is None:
        raise missing_student(key)
    return row


def missing_student(key: str) -> NotFound:
    """What is said of a student that there is not."""
    return NotFound(f"There is no student {key!r}.", value=key, fix="Ask for its family.")


def member_row(session: Session, family: str, k: int) -> MemberRow:
    """The row of a member. Raises FamilyNotFound or SizeNotFound."""
    row = session.get(MemberRow, (family, k))
    if row is None:
        family_row(session, family)
        raise SizeNotFound(
            f"Family {family} has no member with {k} patched layers.",
            value=k,
            fix=f"GET /families/{family} lists its ladder.",
        )
    return row
