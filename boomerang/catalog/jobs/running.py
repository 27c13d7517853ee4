"""What workers do now: the leases that they hold, each with what it is about."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.leases import WORK
from boomerang.catalog.records.jobs import Job, JobKind, Stage
from boomerang.catalog.records.states import Fact, FactName, StudentState
from boomerang.catalog.tables import FamilyRow, LeaseRow, MemberRow, ProvisionalRow, StudentRow


class Hold(NamedTuple):
    """Who holds a lease, and since when where that was written down."""

    holder: str
    since: float | None


Held: TypeAlias = Mapping[str, Hold]
"""Every lease that has not run out, by what it is of."""

_KINDS: dict[str, JobKind] = {
    "provisional": "hash", "student": "distill", "family": "measure", "notices": "notify",
}  # fmt: skip
"""What is done under a lease, where it is not called as the lease is."""
_FACTS: dict[str, FactName] = {word: fact for fact, word in WORK.items()}


def held_leases(session: Session) -> Held:
    """Every lease that somebody holds, the newest first."""
    row = LeaseRow
    now = select(row.subject, row.holder, row.since).where(
        row.expires > session.now(), row.holder.is_not(None)
    )
    found = session.execute(now.order_by(row.since.desc(), row.subject))
    return {subject: Hold(str(holder), since) for subject, holder, since in found}


def running(session: Session, held: Held, limit: int) -> list[Job]:
    """The jobs that workers do, at most `limit`."""
    jobs = []
    for subject, hold in list(held.items())[:limit]:
        word, _, name = subject.partition(":")
        job = Job(kind=kind_of(subject), stage=Stage.RUNNING, worker=hold.holder, since=hold.since)
        jobs.append(_about(session, word, name, job))
    return jobs


def kind_of(subject: str) -> JobKind:
    """What is done under a lease."""
    word = subject.partition(":")[0]
    return _KINDS.get(word, cast(JobKind, word))


def _about(session: Session, word: str, name: str, job: Job) -> Job:
    """A job with what it is about."""
    known: dict[str, Any] = {
        "kind": job.kind,
        "stage": job.stage,
        "worker": job.worker,
        "since": job.since,
    }
    if word in ("student", "keep", "compare"):
        row = session.get(StudentRow, name)
        known["student"] = name
        if row is not None and word == "student":
            return Job(**known | _of_student(row))
    elif word in _FACTS:
        known |= _of_member(session, _FACTS[word], name)
    elif word == "provisional":
        waiting = session.get(ProvisionalRow, name)
        known["family"] = name
        if waiting is not None:
            known |= {"name": waiting.name, "done": waiting.done, "total": waiting.total,
                      "reason": waiting.reason}  # fmt: skip
    elif word == "family":
        family = session.get(FamilyRow, name)
        known |= {"family": name, "reason": family.measuring_reason if family else None}
    elif word in ("rebuild", "settle", "follow"):
        known["family"] = name
    elif word == "notices":
        known["what"] = name
    elif word == "fetch":
        known["what"] = name.partition("@")[0]
    return Job(**known)


def _of_student(row: StudentRow) -> dict[str, Any]:
    if row.state == StudentState.READY:
        return {"kind": "verify"}
    return {"done": row.step, "total": row.steps, "reason": row.reason}


def _of_member(session: Session, fact: FactName, digest: str) -> dict[str, Any]:
    """The member of a digest; of several families that have it, the one that it is done for."""
    mine = select(MemberRow).where(MemberRow.digest == digest)
    rows = session.scalars(mine.order_by(MemberRow.updated.desc())).all()
    row = next(
        (one for one in rows if getattr(one, fact) == Fact.RUNNING), rows[0] if rows else None
    )
    if row is None:
        return {}
    return {"family": row.family, "what": row.size, "reason": getattr(row, f"{fact}_reason")}
