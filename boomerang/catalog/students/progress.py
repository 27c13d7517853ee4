"""How far distillations are: many of them in one transaction."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import PROGRESS, Lease, LostLease
from boomerang.catalog.store import Store, missing_student
from boomerang.catalog.stores.students import begin_anew
from boomerang.catalog.tables import EventRow, LeaseRow, StudentRow
from boomerang.errors import BoomerangError, NotFound

FIGURES = (*("step", "steps", "loss", "ce", "kl", "cosine"), *("tokens", "tokens_per_s", "eta_s"))
"""What is kept of a step."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What is to be said of one distillation: where it stands, and the steps for its curve.

    `latest` and each of `told` are figures by name; `told` becomes events, in that order.
    """

    key: str
    latest: Mapping[str, Any]
    told: Sequence[Mapping[str, Any]] = ()
    lease: Lease | None = None


class ProgressStore(Store):
    """How far distillations are, by the key of the student."""

    def progress(self, told: Sequence[Steps]) -> tuple[BoomerangError | None, ...]:
        """Store where distillations stand, as one change with few statements.

        Values other than FIGURES are ignored. Step 0 after a checkpoint is a run that begins anew.
        Says of each in turn why it was refused, which keeps none of the others back: LostLease
        where somebody else took its lease, NotFound where there is no such student.
        """
        with self.db.write() as session:
            held = _held(session, [one.lease for one in told if one.lease is not None])
            saved = _saved(session, [one.key for one in told])
            refused = tuple(_refused(one, held, saved) for one in told)
            kept = [one for one, why in zip(told, refused, strict=True) if why is None]
            for one in kept:
                if one.latest.get("step") == 0 and saved[one.key] is not None:
                    begin_anew(session.get_one(StudentRow, one.key))
            _write(session, kept)
        return refused

    def student_progress(
        self, key: str, values: Mapping[str, Any], *, lease: Lease | None = None, event: bool = True
    ) -> None:
        """Store where one distillation stands; `event` also tells the event stream.

        Raises LostLease, NotFound.
        """
        told = Steps(key, values, (values,) if event else (), lease)
        (refused,) = self.progress([told])
        if refused is not None:
            raise refused


def _held(session: Session, leases: Sequence[Lease]) -> set[Lease]:
    """Those of the leases that nobody else has taken since."""
    subjects = [lease.subject for lease in leases]
    held = select(LeaseRow.subject, LeaseRow.holder, LeaseRow.fence)
    rows = session.execute(held.where(LeaseRow.subject.in_(subjects))) if leases else ()
    there = {tuple(row) for row in rows}
    return {lease for lease in leases if (lease.subject, lease.holder, lease.fence) in there}


def _saved(session: Session, keys: Sequence[str]) -> dict[str, int | None]:
    """The step of the last checkpoint of those students that there are."""
    saved = select(StudentRow.key, StudentRow.saved).where(StudentRow.key.in_(keys))
    return {row.key: row.saved for row in session.execute(saved)}


def _refused(
    one: Steps, held: Container[Lease], there: Container[str]
) -> LostLease | NotFound | None:
    if one.lease is not None and one.lease not in held:
        return one.lease.lost()
    return None if one.key in there else missing_student(one.key)


def _write(session: Session, told: Sequence[Steps]) -> None:
    now = session.now()
    # One statement for all that say the same figures, which are all, but for the first words.
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in told:
        known = _figures(one.latest)
        alike.setdefault(tuple(known), []).append(
            {"of": one.key, "at": now, **{f"new_{name}": value for name, value in known.items()}}
        )
    students = StudentRow.__table__
    session.flush()
    for names, rows in alike.items():
        changes: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        statement = update(students).where(students.c.key == bindparam("of"))  # type: ignore[arg-type]
        session.connection().execute(statement.values(updated=bindparam("at"), **changes), rows)
    events = [
        {"time": now, "student": one.key, "kind": PROGRESS, "payload": _figures(step)}
        for one in told
        for step in one.told
    ]
    if events:
        session.connection().execute(insert(EventRow), events)


def _figures(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in FIGURES if name in values}
