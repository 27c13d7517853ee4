"""What failed and is not tried again by itself: until somebody asks anew."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from boomerang.catalog.base import Attempts
from boomerang.catalog.database import Session
from boomerang.catalog.records.jobs import Job, Stage
from boomerang.catalog.records.states import Fact, Keying, StudentState
from boomerang.catalog.stores.requests import CANCELLED
from boomerang.catalog.tables import (
    FamilyRow,
    KeepingRow,
    ProvisionalRow,
    RebuildRow,
    RequestRow,
    StudentRow,
)


def failed(session: Session, limit: int) -> tuple[list[Job], int]:
    """The newest failures, at most `limit`, and how many there are.

    What was cancelled did not fail, nor did a rebuild after which there was another.
    """
    jobs: list[Job] = []
    many = 0
    for rows, _, job in KINDS:
        listed = session.execute(rows.limit(limit)).all()
        jobs += [job(*row) for row in listed]
        if len(listed) < limit:
            many += len(listed)
        else:
            counted = select(func.count()).select_from(rows.order_by(None).subquery())
            many += session.scalar(counted) or 0
    jobs.sort(key=lambda one: one.since or 0.0, reverse=True)
    return jobs[:limit], many


def _tried(row: Attempts) -> dict[str, Any]:
    return {"attempts": row.attempts, "parked": bool(row.parked)}


def _hash(row: ProvisionalRow) -> Job:
    return Job(kind="hash", stage=Stage.FAILED, family=row.id, name=row.name, since=row.updated,
               reason=row.reason, done=row.done, total=row.total,
               **_tried(row))  # fmt: skip


def _student(row: StudentRow) -> Job:
    return Job(kind="distill", stage=Stage.FAILED, student=row.key, since=row.finished,
               reason=row.reason, done=row.step, total=row.steps,
               **_tried(row))  # fmt: skip


def _keep(row: StudentRow, kept: KeepingRow) -> Job:
    return Job(kind="keep", stage=Stage.FAILED, student=row.key, since=row.updated,
               reason=row.reason, **_tried(kept))  # fmt: skip


def _measure(row: FamilyRow) -> Job:
    return Job(kind="measure", stage=Stage.FAILED, family=row.id, since=row.updated,
               reason=row.measuring_reason, **_tried(row))  # fmt: skip


def _request(row: RequestRow) -> Job:
    return Job(kind="build" if row.kind == "build" else "publish", stage=Stage.FAILED,
               family=row.family, what=row.what, since=row.updated, reason=row.reason,
               **_tried(row))  # fmt: skip


def _rebuild(row: RebuildRow) -> Job:
    return Job(kind="rebuild", stage=Stage.FAILED, family=row.family, since=row.finished,
               reason=row.reason, **_tried(row))  # fmt: skip


def _not_cancelled(reason: Any) -> Any:
    return reason.is_distinct_from(CANCELLED)


_LATER = aliased(RebuildRow)
_AGAIN = exists(
    select(_LATER.id).where(_LATER.family == RebuildRow.family, _LATER.id > RebuildRow.id)
)
KINDS: tuple[tuple[Any, Any, Callable[..., Job]], ...] = (
    (
        select(ProvisionalRow).where(ProvisionalRow.state == Keying.FAILED.value)
        .order_by(ProvisionalRow.updated.desc()),
        ProvisionalRow.parked.is_(True), _hash,
    ),
    (
        # Without a family nobody can ask for it again.
        select(StudentRow).where(
            StudentRow.state == StudentState.FAILED.value,
            exists(select(FamilyRow.id).where(FamilyRow.student == StudentRow.key)),
        ).order_by(StudentRow.updated.desc()),
        StudentRow.parked.is_(True), _student,
    ),
    (
        select(StudentRow, KeepingRow).join(KeepingRow, KeepingRow.key == StudentRow.key)
        .where(KeepingRow.over.is_(True)).order_by(StudentRow.updated.desc()),
        KeepingRow.parked.is_(True), _keep,
    ),
    (
        select(FamilyRow).where(
            FamilyRow.measuring == Fact.FAILED.value, _not_cancelled(FamilyRow.measuring_reason)
        ).order_by(FamilyRow.updated.desc()),
        FamilyRow.parked.is_(True), _measure,
    ),
    (
        select(RequestRow).where(
            RequestRow.state == Fact.FAILED.value, _not_cancelled(RequestRow.reason)
        ).order_by(RequestRow.updated.desc().nulls_last(), RequestRow.id.desc()),
        RequestRow.parked.is_(True), _request,
    ),
    (
        select(RebuildRow).where(
            RebuildRow.state == Fact.FAILED.value, _not_cancelled(RebuildRow.reason), ~_AGAIN
        ).order_by(RebuildRow.finished.desc()),
        RebuildRow.parked.is_(True), _rebuild,
    ),
)  # fmt: skip
"""Of each kind its rows, which of them are parked, and how one is told."""
