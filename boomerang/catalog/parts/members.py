"""The part of the catalog about members: ladders, and three independent facts about each."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from boomerang.catalog.database import Database
from boomerang.catalog.leases import Lease, guard, revoke
from boomerang.catalog.parts.publications import outdate_cards, outdate_weights
from boomerang.catalog.parts.requests import reopen, undo
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.members import Member, NewMember, has_result
from boomerang.catalog.records.states import Fact, FactName
from boomerang.catalog.setbacks import Limits, Setback, achieved, again, later
from boomerang.catalog.store import Store, family_record, family_row, member_record, member_row
from boomerang.catalog.tables.families import FamilyRow, MemberRow
from boomerang.catalog.transitions import FACTS, MEASURING, Actor, Measuring, check
from boomerang.catalog.tries import WORK, forget_tries, work_of

_MEASURES = frozenset({"perplexity", "kl", "naive_perplexity", "naive_kl", "generation", "flags"})
_VALUES = _MEASURES | {"repo", "commit", "made_of"}
_INHERITED = ("built", "built_reason", "measured", "measured_reason", "tasks", *sorted(_VALUES))
_PUBLISHED = ("published", "published_reason")


class MemberStore(Store):
    """Members, by family and number of patched layers."""

    def members(self, family: str) -> tuple[Member, ...]:
        """The ladder of a family, smallest first. Raises FamilyNotFound."""
        with self.db.read() as session:
            family_row(session, family)
            statement = select(MemberRow).where(MemberRow.family == family)
            rows = session.scalars(statement.order_by(MemberRow.parameters, MemberRow.k))
            return tuple(member_record(row) for row in rows)

    def ladders(self, families: Sequence[str]) -> dict[str, tuple[Member, ...]]:
        """The ladders of families, smallest first, by the ids of those that are there."""
        with self.db.read() as session:
            statement = select(MemberRow).where(MemberRow.family.in_(families))
            found: dict[str, list[Member]] = {}
            for row in session.scalars(statement.order_by(MemberRow.parameters, MemberRow.k)):
                found.setdefault(row.family, []).append(member_record(row))
            return {family: tuple(members) for family, members in found.items()}

    def member(self, family: str, k: int) -> Member:
        """One member. Raises FamilyNotFound, SizeNotFound."""
        with self.db.read() as session:
            return member_record(member_row(session, family, k))

    def find_members(self, size: str, family: str | None = None) -> tuple[Member, ...]:
        """The members with exactly this name, in one family or in all."""
        with self.db.read() as session:
            statement = select(MemberRow).where(MemberRow.size == size)
            if family is not None:
                family_row(session, family)
                statement = statement.where(MemberRow.family == family)
            rows = session.scalars(statement.order_by(MemberRow.family, MemberRow.k))
            return tuple(member_record(row) for row in rows)

    def set_members(
        self,
        family: str,
        members: Sequence[NewMember],
        *,
        patch_order: Sequence[int] | Sequence[str],
        chosen: str,
        calibration_kl: dict[str, Any] | None = None,
        lease: Lease | None = None,
    ) -> None:
        """Settle a family's ladder in its final order.

        What is known of a member follows its digest: from the ladder that is replaced, and from
        other families that have the same member. Raises FamilyNotFound, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = family_row(session, family)
            known = _known(session, [member.digest for member in members], family)
            session.execute(delete(MemberRow).where(MemberRow.family == family))
            now = self.db.now(session)
            for member in members:
                facts = {name: getattr(member, name) for name in NewMember.__dataclass_fields__}
                facts |= known.get(member.digest, {})
                session.add(MemberRow(family=family, updated=now, **facts))
            if row.patch_order is None:
                achieved(row)
            row.patch_order, row.chosen, row.updated = list(patch_order), chosen, now
            payload: dict[str, Any] = {"order": chosen, "patch_order": list(patch_order)}
            if calibration_kl is not None:
                payload["calibration_kl"] = calibration_kl
            session.flush()
            outdate_cards(self.db, session, family)
            self.db.note(session, "order", payload, family=family)
            self.db.note(session, "members", {"count": len(members)}, family=family)

    def set_fact(
        self,
        family: str,
        k: int,
        fact: FactName,
        state: Fact,
        reason: str | None = None,
        *,
        lease: Lease | None = None,
        **values: Any,
    ) -> Member:
        """Change one fact about a member, with the values that come with it, and its event.

        Values: perplexity, kl, naive_perplexity, naive_kl, generation, flags (measured), repo,
        commit (published), made_of (built).
        Raises FamilyNotFound, SizeNotFound, LostLease, IllegalTransition.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = member_row(session, family, k)
            kept = {name: value for name, value in values.items() if name in _VALUES}
            if fact == "measured" and state is Fact.YES and row.measured != Fact.YES:
                achieved(family_row(session, family))
            figures = fact == "measured" and state is Fact.YES
            if figures or kept.get("repo", row.repo) != row.repo:
                outdate_cards(self.db, session, family, but=kept.get("repo"))
            change_fact(self.db, session, row, fact, state, reason, Actor.WORKER, kept)
            if fact in WORK and state is Fact.YES:
                forget_tries(session, work_of(fact, row.digest))
            return member_record(row)

    def set_task(
        self, family: str, k: int, result: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Keep the result of one task, under its `name`, with its event.

        One that is new, and no failure, makes good the setbacks of the family's measuring.

        Raises FamilyNotFound, SizeNotFound, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = member_row(session, family, k)
            has = has_result(row.tasks, result["name"], result["limit"], result["harness"])
            if not has and not result["failed"]:
                achieved(family_row(session, family))
            row.tasks = {**(row.tasks or {}), str(result["name"]): result}
            row.updated = self.db.now(session)
            outdate_cards(self.db, session, family)
            self.db.note(session, "task", {"k": k, "size": row.size, **result}, family=family)

    def task_results(self, student: str) -> dict[str, dict[str, Any]]:
        """The results of tasks by composition, in all families of a student: code → name → result.

        One student is of one teacher at one commit, so that a code is one model. Of results of
        the same task the newest stands; a failed one never replaces another.
        """
        found: dict[str, dict[str, Any]] = {}
        with self.db.read() as session:
            statement = (
                select(MemberRow.code, MemberRow.tasks)
                .join(FamilyRow, FamilyRow.id == MemberRow.family)
                .where(FamilyRow.student == student, MemberRow.tasks.is_not(None))
            )
            for code, tasks in session.execute(statement.order_by(MemberRow.updated)):
                known = found.setdefault(code, {})
                known |= {name: one for name, one in tasks.items() if not one["failed"]}
        return found

    def set_measuring(
        self,
        family: str,
        state: Fact,
        reason: str | None = None,
        *,
        lease: Lease | None = None,
    ) -> Family:
        """Say how far the measuring of a family is; with any state but `running` it is over.

        Raises FamilyNotFound, LostLease, IllegalTransition.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = family_row(session, family)
            after = Measuring.WITHOUT if state is Fact.NO else Measuring(state.value)
            change_measuring(self.db, session, row, after, reason, Actor.WORKER)
            return family_record(row)

    def measure_cancelled(self, family: str, reason: str, *, lease: Lease | None = None) -> None:
        """End a family's measuring on request; one that was asked for again since is sent again.

        Raises FamilyNotFound, LostLease, IllegalTransition.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = family_row(session, family)
            if row.cancel:
                change_measuring(self.db, session, row, Measuring.FAILED, reason, Actor.WORKER)
            else:
                unsettle(self.db, session, row, "asked for again", Actor.WORKER)

    def measure_resend(
        self, family: str, reason: str | None = None, *, lease: Lease | None = None
    ) -> None:
        """Let a family be measured (again): the next reaper sends it, if nobody does before.

        Raises FamilyNotFound, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            unsettle(self.db, session, family_row(session, family), reason, Actor.WORKER)

    def measure_again(
        self,
        family: str,
        kind: Setback,
        reason: str,
        limits: Limits,
        *,
        lease: Lease | None = None,
    ) -> bool:
        """After a setback: have a family measured later; False where it has had enough of them.

        Raises FamilyNotFound, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = family_row(session, family)
            wait = again(row, kind, self.db.now(session), limits)
            if wait is None:
                return False
            due = row.due
            unsettle(self.db, session, row, later(reason, wait), Actor.WORKER)
            row.due = due
            return True

    def member_gone(
        self, family: str, k: int, fact: FactName, reason: str, *, lease: Lease | None = None
    ) -> None:
        """A member is not what it was said to be: no longer built, or no longer on the Hub.

        The requests that had it built are open again. Those that had it published have failed:
        somebody may have wanted it gone, and who asks again has it again. Raises FamilyNotFound,
        SizeNotFound, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = member_row(session, family, k)
            state = Fact.NO if fact == "built" else Fact.FAILED
            change_fact(self.db, session, row, fact, state, reason, Actor.WORKER)
            if fact == "built":
                reopen(self.db, session, family, "build", reason)
            else:
                undo(self.db, session, family, "publish", k, reason)

    def referenced(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these digests still belong to a family."""
        with self.db.read() as session:
            statement = select(MemberRow.digest).where(MemberRow.digest.in_(digests))
            return frozenset(session.scalars(statement))


def change_fact(
    db: Database,
    session: Session,
    row: MemberRow,
    fact: FactName,
    state: Fact,
    reason: str | None,
    by: Actor,
    values: Mapping[str, Any] | None = None,
) -> None:
    """Change a fact about a member within a transaction, and write the event.

    Raises IllegalTransition.
    """
    check(FACTS[fact], f"{fact} of {row.size} of {row.family}", getattr(row, fact), state, by)
    for name, value in {fact: state.value, f"{fact}_reason": reason, **(values or {})}.items():
        setattr(row, name, value)
    row.updated = db.now(session)
    payload = {"k": row.k, "size": row.size, "fact": fact, "state": state.value}
    payload |= {"reason": reason, **(values or {})}
    db.note(session, "member", payload, family=row.family)


def change_measuring(
    db: Database,
    session: Session,
    row: FamilyRow,
    state: Measuring,
    reason: str | None,
    by: Actor,
) -> None:
    """Change how far a family's measuring is within a transaction, and write the event.

    Raises IllegalTransition.
    """
    check(MEASURING, f"the measuring of {row.id}", measuring_of(row), state, by)
    unmeasured = state in (Measuring.WAITING, Measuring.WITHOUT)
    row.measuring = Fact.NO.value if unmeasured else state.value
    row.measuring_reason, row.updated = reason, db.now(session)
    row.settled = state not in (Measuring.WAITING, Measuring.RUNNING)
    payload = {"state": row.measuring, "reason": reason}
    db.note(session, "measuring", payload, family=row.id)


def unsettle(
    db: Database,
    session: Session,
    row: FamilyRow,
    reason: str | None,
    by: Actor,
    *,
    anew: bool = False,
) -> None:
    """Let a family be measured (again): the next reaper sends it, if nobody does before.

    With `anew` an order that was found before stands no longer. Raises IllegalTransition.
    """
    row.sent, row.sends, row.due = 0.0, 0, None
    if anew:
        row.patch_order, row.chosen = None, None
    if measuring_of(row) is not Measuring.WAITING or row.measuring_reason != reason:
        change_measuring(db, session, row, Measuring.WAITING, reason, by)


def outdate(db: Database, session: Session, family: str, reason: str) -> None:
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
                change_fact(db, session, row, fact, Fact.NO, reason, Actor.WORKER)
        if row.built == Fact.YES:
            change_fact(db, session, row, "built", Fact.NO, reason, Actor.WORKER)
        if row.measured == Fact.YES:
            gone = dict.fromkeys(_MEASURES)
            change_fact(db, session, row, "measured", Fact.NO, reason, Actor.WORKER, gone)
        row.tasks = None
    reopen(db, session, family, "build", reason)
    outdate_weights(session, family)
    outdate_cards(db, session, family)


def measuring_of(row: FamilyRow) -> Measuring:
    """How far a family's measuring is."""
    if row.measuring == Fact.NO:
        return Measuring.WITHOUT if row.settled else Measuring.WAITING
    return Measuring(row.measuring)


def _known(session: Session, digests: Sequence[str], family: str) -> dict[str, dict[str, Any]]:
    """What is known of members by digest; a publication belongs to its family alone."""
    found: dict[str, dict[str, Any]] = {}
    statement = select(MemberRow).where(MemberRow.digest.in_(digests))
    # The family's own rows come last, so that they win.
    rows = session.scalars(statement).all()
    for row in sorted(rows, key=lambda row: (row.family == family, row.updated)):
        own = row.family == family
        names = (*_INHERITED, *_PUBLISHED) if own else _INHERITED
        facts = {name: getattr(row, name) for name in names}
        if not own:
            facts |= {"repo": None, "commit": None}
            facts |= {n: "no" for n in ("built", "measured") if facts[n] != Fact.YES}
            if facts["measured"] != Fact.YES:
                facts |= dict.fromkeys((*_MEASURES, "measured_reason"))
        found[row.digest] = found.get(row.digest, {}) | facts if own else facts
    return found
