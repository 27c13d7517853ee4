"""The distillation of a student: its checkpoints, its memory, and what came of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.leases import WORK, revoke, work_of
from boomerang.catalog.rebuilding import found_of_student, student_made
from boomerang.catalog.records.families import Family, NewMember
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact, Lease, StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.catalog.setbacks import Limits, Setback, achieved, again
from boomerang.catalog.store import record, student_row
from boomerang.catalog.stores.measuring import unsettle
from boomerang.catalog.stores.members import MEASURES, change_fact, replace_members
from boomerang.catalog.stores.publications import outdate_cards, outdate_weights
from boomerang.catalog.stores.requests import reopen, reword
from boomerang.catalog.stores.students import begin_anew, change_state
from boomerang.catalog.students.keeping import expect, kept
from boomerang.catalog.students.progress import ProgressStore
from boomerang.catalog.tables import FamilyRow, MemberRow, RequestRow
from boomerang.catalog.transitions import Actor

Refit = Callable[[Family], Sequence[NewMember]]
"""The members that a family has once the layers its student keeps are known."""


class DistillationStore(ProgressStore):
    """Distillations, by the key of the student."""

    def student_saved(
        self, key: str, values: Mapping[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell of a checkpoint; one that is further than the last makes good all setbacks."""
        with self.db.write(lease) as session:
            row = student_row(session, key)
            step = int(values["step"])
            if row.saved is None or step > row.saved:
                row.saved = step
                achieved(row)
            session.note("checkpoint", dict(values), student=key)

    def student_set_aside(
        self, key: str, payload: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell that what was made of a student is set aside; what is made next begins anew."""
        with self.db.write(lease) as session:
            row = student_row(session, key)
            begin_anew(row)
            row.step = 0
            lost = Item(kind="student", name=key, state="broken", found=payload["reason"])
            found_of_student(session, key, [lost], Actor.WORKER)
            session.note("set-aside", payload, student=key)

    def student_narrow(
        self, key: str, values: Mapping[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Keep how many sequences at a time there is memory for: `micro_batch` of `values`."""
        with self.db.write(lease) as session:
            student_row(session, key).micro_batch = int(values["micro_batch"])
            session.note("memory", dict(values), student=key)

    def pin_map(
        self, key: str, kept: Sequence[int], reason: str | None, ladder: Refit, *, lease: Lease
    ) -> Student:
        """Settle which layers a student keeps, once: what was pinned first stands.

        Its families get the members that `ladder` says they have, in the same transaction. `reason`
        is why the layers are not those that the rule finds. Raises LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row = student_row(session, key)
            if row.pinned:
                return record(Student, row)
            row.kept, row.pinned, row.map_reason = list(kept), True, reason
            row.updated = session.now()
            achieved(row)
            told = {"rule": row.map_rule, "kept": row.kept, "layers": row.layers, "reason": reason}
            session.note("map", told, student=key)
            for family in session.scalars(select(FamilyRow).where(FamilyRow.student == key)).all():
                refit(session, family, ladder(record(Family, family)))
            return record(Student, row)

    def student_out_of_memory(
        self, key: str, micro_batch: int, *, lease: Lease | None = None
    ) -> int | None:
        """Take note that what distils was killed for its memory; return its next micro-batch.

        The second time at the same step it is half of `micro_batch`, and that may be 0. None
        where it got further than the time before. Raises LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row = student_row(session, key)
            stuck = row.killed_at is not None and row.step <= row.killed_at
            row.killed_at = row.step
            if not stuck:
                return None
            half = micro_batch // 2
            if half:
                row.micro_batch = half
                achieved(row)
                told = {"step": row.step, "micro_batch": half, "before": micro_batch}
                session.note("memory", told, student=key)
            return half

    def student_whole(
        self,
        key: str,
        files: Mapping[str, str],
        *,
        made: bool,
        looked: Iterable[Item] = (),
        taken: tuple[str, str] | None = None,
        keep: bool = False,
        lease: Lease | None = None,
    ) -> None:
        """A student is whole: ready where it was `made`, else verified, with the event for it.

        `files` are the sha256 of its weights, `taken` the repository and commit of the Hub that it
        was found at; with `keep` one that is not there yet is to be. Its families are measured anew
        where it was made again, and where measuring failed; `looked` is for its rebuilds. Raises
        LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row = student_row(session, key)
            others = made and row.files != dict(files)
            row.files, row.verify = dict(files), None
            achieved(row)
            found_of_student(session, key, looked, Actor.WORKER)
            if others:
                row.hub_commit = None
            if made:
                begin_anew(row)
                # Its last steps may have died with the worker that was to write them.
                row.step = row.steps
                change_state(session, row, StudentState.READY, None, Actor.WORKER)
                student_made(session, key)
            else:
                session.note("verified", {}, student=key)
            if taken is not None:
                kept(session, row, *taken)
            elif keep and row.hub_commit is None and row.origin == Origin.DISTILLED:
                expect(session, row)
            reason = "its student is new" if made else "its student was verified"
            for family in session.scalars(select(FamilyRow).where(FamilyRow.student == key)):
                if others:
                    outdate(session, family.id, reason)
                lacks = family.settled and family.measuring != Fact.YES
                if not family.cancel and (made or lacks):
                    unsettle(session, family, reason, Actor.WORKER, anew=made)

    def student_not_seen(
        self, key: str, reason: str, setback: tuple[Setback, Limits] | None, *,
        lease: Lease | None = None,
    ) -> None:  # fmt: skip
        """Whether a student is whole could not be found out: it stays what it is.

        After a setback it is looked at again later, within its limits; not at all without one.
        Raises LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row, wait = student_row(session, key), None
            if setback is not None:
                kind, limits = setback
                wait = again(row, kind, session.now(), limits)
            if wait is None:
                row.verify = None
                achieved(row)
                unseen = Item(kind="student", name=key, state="unseen", reason=reason)
                found_of_student(session, key, [unseen], Actor.WORKER)
            told = {"reason": reason, "again_in": wait}
            session.note("unverified", told, student=key)


def refit(session: Session, row: FamilyRow, members: Sequence[NewMember]) -> None:
    """Give a family its final ladder in place of its provisional one, with the event.

    Requests that name a size which is no more are for what its parameters buy.
    """
    before = session.execute(
        select(MemberRow.size, MemberRow.parameters).where(MemberRow.family == row.id)
    ).all()
    names = {member.size.casefold() for member in members}
    gone = {size: count for size, count in before if size.casefold() not in names}
    replace_members(session, row, members)
    row.replaced = {**(row.replaced or {}), **gone} or None
    least = min((member.parameters for member in members), default=0)
    mine = select(RequestRow).where(RequestRow.family == row.id)
    for request in session.scalars(mine.where(RequestRow.what.in_(gone))).all():
        reword(session, request, str(max(gone[request.what], least)))
    session.note("members", {"count": len(members), "ladder": "final"}, family=row.id)


def outdate(session: Session, family: str, reason: str) -> None:
    """What was built and measured of a family's student was of other bytes than it has now.

    Who works on that has its lease taken away. The requests that had members built are open again,
    and what is published is published again; the figures stay in the events.
    """
    revoke(session, f"family:{family}")
    for row in session.scalars(select(MemberRow).where(MemberRow.family == family)).all():
        for fact in WORK:
            if getattr(row, fact) == Fact.RUNNING:
                # Nobody died, so that it is no setback to begin again.
                revoke(session, work_of(fact, row.digest))
                change_fact(session, row, fact, Fact.NO, reason, Actor.WORKER)
        if row.built == Fact.YES:
            change_fact(session, row, "built", Fact.NO, reason, Actor.WORKER)
        if row.measured == Fact.YES:
            gone = dict.fromkeys(MEASURES)
            change_fact(session, row, "measured", Fact.NO, reason, Actor.WORKER, gone)
        row.tasks = None
    reopen(session, family, "build", reason)
    outdate_weights(session, family)
    outdate_cards(session, family)
