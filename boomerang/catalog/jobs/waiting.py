"""What waits for a worker, for its time to be tried again, or for other jobs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from boomerang.catalog.base import Attempts
from boomerang.catalog.database import Session
from boomerang.catalog.jobs.running import Held
from boomerang.catalog.leases import WORK
from boomerang.catalog.rebuilding import OPEN
from boomerang.catalog.records.jobs import Job, JobKind, Stage
from boomerang.catalog.records.states import Fact, FactName, Keying, StudentState
from boomerang.catalog.tables import (
    FamilyRow,
    FollowRow,
    KeepingRow,
    MemberRow,
    NoticeRow,
    ProvisionalRow,
    RebuildRow,
    RequestRow,
    StudentRow,
    TryRow,
)

_FACTS: Mapping[str, FactName] = {word: fact for fact, word in WORK.items()}


def waiting(session: Session, held: Held, limit: int) -> tuple[list[Job], int]:
    """The jobs that wait longest, at most `limit`, and how many there are."""
    jobs: list[Job] = []
    many = 0
    for kind, prefix, rows, subject, job in _KINDS:
        names = [one.removeprefix(prefix) for one in held if one.startswith(prefix)]
        free = rows.where(subject.not_in(names)) if names else rows
        listed = session.scalars(free.limit(limit)).all()
        jobs += [job(kind, row) for row in listed]
        many += len(listed) if len(listed) < limit else _count(session, free)
    for found in (_notices(session), _members(session, limit)):
        some = list(found)
        jobs += some
        many += len(some)
    jobs.sort(key=lambda one: (one.since or 0.0, one.kind))
    return jobs[:limit], many


def queued(session: Session, held: Held) -> Iterator[tuple[JobKind, int, float | None]]:
    """Of each kind how many wait, and since when the first of them does."""
    for kind, prefix, rows, subject, job in _KINDS:
        names = [one.removeprefix(prefix) for one in held if one.startswith(prefix)]
        free = rows.where(subject.not_in(names)) if names else rows
        first = session.scalars(free.limit(1)).first()
        yield kind, _count(session, free) if first else 0, job(kind, first).since if first else None


def _count(session: Session, rows: Select[Any]) -> int:
    counted = select(func.count()).select_from(rows.order_by(None).subquery())
    return session.scalar(counted) or 0


def _tried(row: Attempts) -> dict[str, Any]:
    return {"due": row.due, "away_since": row.away_since, "attempts": row.attempts,
            "sends": row.sends}  # fmt: skip


def _hash(kind: JobKind, row: ProvisionalRow) -> Job:
    return Job(kind=kind, stage=Stage.WAITING, family=row.id, name=row.name, since=row.created,
               reason=row.reason, done=row.done, total=row.total, **_tried(row))  # fmt: skip


def _student(kind: JobKind, row: StudentRow) -> Job:
    if kind == "verify":
        return Job(kind=kind, stage=Stage.WAITING, student=row.key, since=row.verify, **_tried(row))
    return Job(kind=kind, stage=Stage.WAITING, student=row.key, since=row.updated,
               reason=row.reason, done=row.step or None, total=row.steps or None,
               **_tried(row))  # fmt: skip


def _keep(kind: JobKind, row: KeepingRow) -> Job:
    return Job(kind=kind, stage=Stage.WAITING, student=row.key, since=row.sent or None,
               **_tried(row))  # fmt: skip


def _measure(kind: JobKind, row: FamilyRow) -> Job:
    return Job(kind=kind, stage=Stage.WAITING, family=row.id, since=row.updated,
               reason=row.measuring_reason, **_tried(row))  # fmt: skip


def _request(kind: JobKind, row: RequestRow) -> Job:
    of: JobKind = "build" if row.kind == "build" else "publish"
    return Job(kind=of, stage=Stage.WAITING, family=row.family, what=row.what, since=row.updated,
               reason=row.reason, **_tried(row))  # fmt: skip


def _rebuild(kind: JobKind, row: RebuildRow) -> Job:
    return Job(kind=kind, stage=Stage.WAITING, family=row.family, since=row.created,
               reason=row.reason, **_tried(row))  # fmt: skip


def _follow(kind: JobKind, row: FollowRow) -> Job:
    return Job(kind=kind, stage=Stage.WAITING, family=row.family, since=row.sent or None,
               **_tried(row))  # fmt: skip


_TO_MAKE = (StudentState.QUEUED.value, StudentState.DISTILLING.value)
_READY = StudentRow.state == StudentState.READY.value
_KINDS: tuple[tuple[JobKind, str, Select[Any], ColumnElement[Any], Callable[..., Job]], ...] = (
    (
        "hash", "provisional:",
        select(ProvisionalRow).where(ProvisionalRow.state == Keying.HASHING.value)
        .order_by(ProvisionalRow.created),
        ProvisionalRow.id.expression, _hash,
    ),
    (
        "distill", "student:",
        select(StudentRow).where(StudentRow.state.in_(_TO_MAKE)).order_by(StudentRow.updated),
        StudentRow.key.expression, _student,
    ),
    (
        "verify", "student:",
        select(StudentRow).where(StudentRow.verify.is_not(None), _READY)
        .order_by(StudentRow.verify),
        StudentRow.key.expression, _student,
    ),
    (
        "keep", "keep:",
        select(KeepingRow).join(StudentRow, StudentRow.key == KeepingRow.key)
        .where(KeepingRow.over.is_(False), _READY).order_by(KeepingRow.sent),
        KeepingRow.key.expression, _keep,
    ),
    (
        "measure", "family:",
        select(FamilyRow).join(StudentRow, StudentRow.key == FamilyRow.student)
        .where(FamilyRow.settled.is_(False), _READY).order_by(FamilyRow.updated),
        FamilyRow.id.expression, _measure,
    ),
    (
        "build", "settle:",
        select(RequestRow).join(FamilyRow, FamilyRow.id == RequestRow.family)
        .where(
            RequestRow.state == Fact.NO.value, FamilyRow.settled.is_(True),
            FamilyRow.chosen.is_not(None), FamilyRow.cancel.is_not(True),
        )
        .order_by(RequestRow.id),
        RequestRow.family.expression, _request,
    ),
    (
        "rebuild", "rebuild:",
        select(RebuildRow).where(RebuildRow.state.in_(OPEN)).order_by(RebuildRow.id),
        RebuildRow.family.expression, _rebuild,
    ),
    (
        "follow", "follow:",
        select(FollowRow).order_by(FollowRow.family),
        FollowRow.family.expression, _follow,
    ),
)  # fmt: skip
"""Kinds of jobs: the lease that is held while one is done, its rows, what the lease names."""


def _notices(session: Session) -> Iterator[Job]:
    """What is to be told, host by host: as many as people have named."""
    row = NoticeRow
    told = select(
        row.host, func.count(), func.min(row.created), func.min(row.due), func.max(row.attempts)
    )
    for host, many, since, due, attempts in session.execute(told.group_by(row.host)):
        yield Job(kind="notify", stage=Stage.WAITING, what=host, since=since, due=due,
                  attempts=attempts, reason=f"{many} to be told")  # fmt: skip


def _members(session: Session, limit: int) -> Iterator[Job]:
    """Members of requests that were begun: those that no worker has, and nobody failed at."""
    began = select(RequestRow).where(RequestRow.state == Fact.RUNNING.value)
    requests = session.scalars(began.order_by(RequestRow.id).limit(limit)).all()
    waits: dict[tuple[str, str, str], RequestRow] = {}
    for request in requests:
        waits.setdefault((request.family, request.kind, request.what), request)
    for (family, kind, what), request in waits.items():
        fact = _FACTS[kind]
        state, same = getattr(MemberRow, fact), MemberRow.family == family
        mine = select(MemberRow).where(same, state == Fact.NO.value)
        if what != "*":
            mine = mine.where(MemberRow.size == what)
        rows = session.scalars(mine.order_by(MemberRow.parameters)).all()
        tries = _tries(session, kind, [row.digest for row in rows])
        for row in rows:
            tried = tries.get(row.digest)
            yield Job(
                kind="build" if kind == "build" else "publish", stage=Stage.WAITING,
                family=family, what=row.size, since=request.updated,
                reason=getattr(row, f"{fact}_reason"), **(_tried(tried) if tried else {}),
            )  # fmt: skip


def _tries(session: Session, kind: str, digests: list[str]) -> dict[str, TryRow]:
    subjects = [f"{kind}:{digest}" for digest in digests]
    found = session.scalars(select(TryRow).where(TryRow.subject.in_(subjects)))
    return {row.subject.partition(":")[2]: row for row in found}
