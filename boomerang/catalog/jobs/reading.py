"""What runs, waits and failed, read at once for those who look after the service.

No question grows with the number of families: what runs is found by the leases that have not run
out, as many as workers have threads; what waits and what failed by the states that are indexed, of
each kind as many as are shown.
"""

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.jobs.failed import failed
from boomerang.catalog.jobs.parked import unread
from boomerang.catalog.jobs.running import Held, held_leases, running
from boomerang.catalog.jobs.waiting import waiting
from boomerang.catalog.records.jobs import Job, Jobs, Stage
from boomerang.catalog.store import Store
from boomerang.catalog.tables import FamilyRow, NameRow


class JobStore(Store):
    """Jobs, as they stand in the catalog."""

    def jobs(self, limit: int = 50) -> Jobs:
        """What there is to do and what went wrong, of each stage at most `limit`."""
        with self.db.read() as session:
            held: Held = held_leases(session)
            at_work = running(session, held, limit)
            waits, how_many = waiting(session, held, limit)
            lost, how_many_lost = failed(session, limit)
            bad, how_many_bad = unread(session, limit)
            lost = sorted([*lost, *bad], key=lambda one: one.since or 0.0, reverse=True)[:limit]
            counts = {
                Stage.RUNNING: len(held),
                Stage.WAITING: how_many,
                Stage.FAILED: how_many_lost + how_many_bad,
            }
            stages = [_named(session, some) for some in (at_work, waits, lost)]
            return Jobs(
                now=session.now(), counts=counts,
                running=stages[0], waiting=stages[1], failed=stages[2],
            )  # fmt: skip


def _named(session: Session, jobs: Iterable[Job]) -> tuple[Job, ...]:
    """The jobs with what their families are called; of a student alone, with its newest family."""
    found = tuple(jobs)
    families = _families(session, {job.student for job in found if job.family is None})
    whole = tuple(
        replace(job, family=families.get(job.student or "")) if job.family is None else job
        for job in found
    )
    names = _names(session, {job.family for job in whole if job.family and job.name is None})
    return tuple(
        job if job.name is not None else replace(job, name=names.get(job.family or ""))
        for job in whole
    )


def _families(session: Session, students: set[str | None]) -> dict[str, str]:
    """The newest family of each student that has one."""
    mine = select(FamilyRow.student, FamilyRow.id).where(FamilyRow.student.in_(students - {None}))
    return {row.student: row.id for row in session.execute(mine.order_by(FamilyRow.created))}


def _names(session: Session, families: set[str]) -> dict[str, str]:
    plain = select(FamilyRow.id, FamilyRow.name).where(FamilyRow.id.in_(families))
    given = select(NameRow.family, NameRow.name).where(NameRow.family.in_(families))
    return {id_: name for rows in (plain, given) for id_, name in session.execute(rows)}
