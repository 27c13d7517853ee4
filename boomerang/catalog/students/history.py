"""What the events of a student tell long after: its loss step by step, and what it took."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, Select, case, func, select, true

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import PROGRESS, Fact, StudentState
from boomerang.catalog.store import Store, family_row, student_row
from boomerang.catalog.tables import EventRow, FamilyRow, MemberRow, RepoRow, StudentRow

POINTS = 300
"""Parts that the steps of a distillation fall into; of each the last event that tells is kept."""
CurveMetric = Literal["loss", "ce", "kl", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A figure of a distillation over its steps: `points` are (step, value), steps ascending.

    What a run did before it went back to a checkpoint, and has not come to again, is left out.
    """

    student: str
    metric: CurveMetric
    step: int
    steps: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What goes and what stays when a family is deleted, and what it took to have it.

    The student took `seconds` of distilling in all attempts, on `devices` at a time (None: nobody
    said); it `stays` for whoever asks again, and `shared` other families have it too. Measuring
    the family took `measuring_seconds`, and of `measured` members the figures go; `built` folders
    of `built_bytes` do. `repositories` are those of the Hub, which stay.
    """

    student: str
    state: StudentState
    stays: bool
    shared: int
    seconds: float
    devices: int | None
    step: int
    steps: int
    measuring_seconds: float
    measured: int
    built: int
    built_bytes: int
    repositories: tuple[str, ...]


class HistoryStore(Store):
    """The past of students and families, from their events."""

    def curve(self, key: str, metric: CurveMetric = "loss") -> Curve:
        """How a figure of a distillation went, in about POINTS points at most. Raises NotFound."""
        with self.db.read() as session:
            row = student_row(session, key)
            kept = worth_keeping(session).where(EventRow.student == key)
            told = select(EventRow.id, EventRow.payload).where(EventRow.id.in_(kept))
            rows = [(id_, payload) for id_, payload in session.execute(told)]
            return Curve(
                student=key,
                metric=metric,
                step=row.step,
                steps=row.steps,
                points=tuple(_points(rows, metric)),
            )

    def leaving(self, family: str) -> Leaving:
        """What deleting a family costs whoever wants it back. Raises FamilyNotFound."""
        with self.db.read() as session:
            row = family_row(session, family)
            student = student_row(session, row.student)
            state = StudentState(student.state)
            theirs = FamilyRow.student == student.key, FamilyRow.id != family
            others = session.scalars(select(FamilyRow.cancel).where(*theirs)).all()
            members = select(MemberRow.built, MemberRow.measured, MemberRow.bytes)
            mine = session.execute(members.where(MemberRow.family == family)).all()
            built = [size for is_built, _, size in mine if is_built == Fact.YES]
            there = select(RepoRow.repo).where(RepoRow.family == family, RepoRow.card != "")
            return Leaving(
                student=student.key,
                state=state,
                stays=state is StudentState.READY or (not state.over and not all(others)),
                shared=len(others),
                seconds=_seconds(session, EventRow.student == student.key, "student", "distilling"),
                devices=_devices(session, student.key),
                step=student.step,
                steps=student.steps,
                measuring_seconds=_seconds(
                    session, EventRow.family == family, "measuring", "running"
                ),
                measured=sum(measured == Fact.YES for _, measured, _ in mine),
                built=len(built),
                built_bytes=sum(built),
                repositories=tuple(session.scalars(there.order_by(RepoRow.repo))),
            )


def worth_keeping(session: Session) -> Select[int]:
    """The ids of the events that the curves of students are drawn from."""
    step, loss = EventRow.payload["step"].as_integer(), EventRow.payload["loss"].as_float()
    sound = is_json(session)
    step, loss = case((sound, step)), case((sound, loss))
    # Integers throughout: both databases put a step into the same part.
    width = (StudentRow.steps + POINTS - 1) // POINTS
    part = step // func.nullif(width, 0, type_=BigInteger)
    statement = select(func.max(EventRow.id)).join(StudentRow, StudentRow.key == EventRow.student)
    # Where a run begins, also in its middle, there is no loss: that is kept beside one that has.
    parts = statement.group_by(EventRow.student, part, loss.is_(None))
    return parts.where(EventRow.kind == PROGRESS)


def is_json(session: Session) -> ColumnElement[bool]:
    """Whether what an event tells can be taken apart by the database.

    SQLite keeps any text as JSON, NaN too, and would refuse a whole question for one of those.
    """
    sqlite = session.get_bind().dialect.name == "sqlite"
    return func.json_valid(EventRow.payload) == 1 if sqlite else true()


def _points(rows: Iterable[tuple[int, dict[str, Any]]], metric: str) -> Iterator[tuple[int, float]]:
    newest = 0
    for id_, told in sorted(rows, key=lambda row: (row[1].get("step") or 0, row[0])):
        # A later event of an earlier step: the run went back, and this was undone.
        if id_ < newest:
            continue
        newest = id_
        value = told.get(metric)
        if isinstance(value, int | float) and told.get("step"):
            yield told["step"], float(value)


def _seconds(session: Session, whose: ColumnElement[bool], kind: str, state: str) -> float:
    """How long something was in a state, each time that it was."""
    told = select(EventRow.time, EventRow.payload).where(whose, EventRow.kind == kind)
    total, since = 0.0, None
    for at, payload in session.execute(told.order_by(EventRow.id)):
        within = payload.get("state") == state
        if since is not None and not within:
            total, since = total + at - since, None
        elif since is None and within:
            since = at
    return total if since is None else total + session.now() - since


def _devices(session: Session, key: str) -> int | None:
    """On how many devices a student was distilled last."""
    said = select(EventRow.payload).where(EventRow.student == key, EventRow.kind == "estimate")
    found = session.scalars(said.order_by(EventRow.id.desc()).limit(1)).first()
    return None if found is None else found.get("devices")
