"""Members: the ladder of a family, and three independent facts about each of its sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.leases import WORK, forget_tries, holder_of, tries_of, work_of
from boomerang.catalog.records.families import Member, NewMember
from boomerang.catalog.records.states import PUBLISHING, Fact, FactName, Lease
from boomerang.catalog.setbacks import Limits, Setback, achieved, again, later
from boomerang.catalog.store import Store, facts_of, family_row, member_row, record
from boomerang.catalog.stores.publications import outdate_cards
from boomerang.catalog.tables import FamilyRow, MemberRow, SweepRow, TryRow
from boomerang.catalog.transitions import FACTS, Actor, check

MEASURES = frozenset({
    "perplexity", "kl", "naive_perplexity", "naive_kl", "agreement", "acceptance", "drafted",
    "by_position", "errors", "generation", "flags",
})  # fmt: skip
"""What is measured of a member, without the results of tasks."""
_AT_ONCE = 10_000
_VALUES = MEASURES | {"repo", "commit", "made_of"}
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
            return tuple(record(Member, row) for row in rows)

    def ladders(self, families: Sequence[str]) -> dict[str, tuple[Member, ...]]:
        """The ladders of families, smallest first, by the ids of those that are there."""
        found: dict[str, list[Member]] = {}
        with self.db.read() as session:
            # PostgreSQL takes no question with more than 65,535 values.
            for at in range(0, len(families), _AT_ONCE):
                some = MemberRow.family.in_(families[at : at + _AT_ONCE])
                rows = select(MemberRow).where(some).order_by(MemberRow.parameters, MemberRow.k)
                for row in session.scalars(rows):
                    found.setdefault(row.family, []).append(record(Member, row))
            return {family: tuple(members) for family, members in found.items()}

    def member(self, family: str, k: int) -> Member:
        """One member. Raises FamilyNotFound, SizeNotFound."""
        with self.db.read() as session:
            return record(Member, member_row(session, family, k))

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
        with self.db.write(lease) as session:
            row = family_row(session, family)
            replace_members(session, row, members)
            if row.patch_order is None:
                achieved(row)
            row.patch_order, row.chosen = list(patch_order), chosen
            payload: dict[str, Any] = {"order": chosen, "patch_order": list(patch_order)}
            if calibration_kl is not None:
                payload["calibration_kl"] = calibration_kl
            session.note("order", payload, family=family)
            session.note("members", {"count": len(members)}, family=family)

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

        Values: those of MEASURES (measured), repo, commit (published), made_of (built).
        """
        with self.db.write(lease) as session:
            row = member_row(session, family, k)
            kept = {name: value for name, value in values.items() if name in _VALUES}
            if fact == "measured" and state is Fact.YES and row.measured != Fact.YES:
                achieved(family_row(session, family))
            figures = fact == "measured" and state is Fact.YES
            if figures or kept.get("repo", row.repo) != row.repo:
                outdate_cards(session, family, but=kept.get("repo"))
            change_fact(session, row, fact, state, reason, Actor.WORKER, kept)
            if fact in WORK and state is Fact.YES:
                forget_tries(session, work_of(fact, row.digest))
            return record(Member, row)

    def member_sent(
        self, family: str, k: int, repo: str, done: int, total: int, *, lease: Lease
    ) -> None:
        """Tell how many of a member's bytes the Hub has; where it is being published, on it too.

        Raises LostLease, FamilyNotFound.
        """
        with self.db.write(lease) as session:
            row = member_row(session, family, k)
            if row.published == Fact.RUNNING:
                row.published_reason = f"{done / 1e9:.2f} of {total / 1e9:.2f} GB"
            told = {"k": k, "size": row.size, "repo": repo, "done": done, "of": total}
            session.note(PUBLISHING, told, family=family)

    def member_again(
        self, family: str, k: int, fact: FactName, reason: str, limits: Limits, *,
        kind: Setback = Setback.OUTSIDE, lease: Lease,
    ) -> bool:  # fmt: skip
        """After a setback: have a member built or published later; False after enough of them.

        One that was there before is there still.
        """
        with self.db.write(lease) as session:
            row = member_row(session, family, k)
            tried = tries_of(session, work_of(fact, row.digest))
            wait = again(tried, kind, session.now(), limits)
            if wait is None:
                return False
            if getattr(row, fact) == Fact.NO:
                # It was in the way before the work was said to be begun.
                setattr(row, f"{fact}_reason", later(reason, wait))
                return True
            state = Fact.YES if getattr(row, fact) == Fact.YES else Fact.NO
            change_fact(session, row, fact, state, later(reason, wait), Actor.WORKER)
            return True

    def member_waits(self, member: Member, fact: FactName) -> bool:
        """Whether somebody works on a member, or it is not to be tried again yet."""
        subject = work_of(fact, member.digest)
        with self.db.read() as session:
            row = session.get(TryRow, subject)
            put_off = row is not None and row.due is not None
            return put_off or holder_of(session, subject) is not None

    def referenced(self, digests: Sequence[str]) -> frozenset[str]:
        """Which of these digests still belong to a family."""
        with self.db.read() as session:
            statement = select(MemberRow.digest).where(MemberRow.digest.in_(digests))
            return frozenset(session.scalars(statement))

    def sweeps(self) -> tuple[str, ...]:
        """The digests of members whose folders are to be removed where they belong to nobody."""
        with self.db.read() as session:
            return tuple(session.scalars(select(SweepRow.digest).order_by(SweepRow.digest)))

    def swept(self, digest: str) -> None:
        """A member's folder is gone, or belongs to somebody again."""
        with self.db.write() as session:
            session.execute(delete(SweepRow).where(SweepRow.digest == digest))


def replace_members(session: Session, row: FamilyRow, members: Sequence[NewMember]) -> None:
    """Give a family another ladder within a transaction; the caller writes the event.

    What is known of a member follows its digest.
    """
    known = _known(session, [member.digest for member in members], row.id)
    session.execute(delete(MemberRow).where(MemberRow.family == row.id))
    row.updated = session.now()
    for member in members:
        facts = facts_of(NewMember, member) | known.get(member.digest, {})
        session.add(MemberRow(family=row.id, updated=row.updated, **facts))
    session.flush()
    outdate_cards(session, row.id)


def change_fact(
    session: Session,
    row: MemberRow,
    fact: FactName,
    state: Fact,
    reason: str | None,
    by: Actor,
    values: Mapping[str, Any] | None = None,
) -> None:
    """Change a fact about a member within a transaction, and write the event."""
    check(FACTS[fact], f"{fact} of {row.size} of {row.family}", getattr(row, fact), state, by)
    for name, value in {fact: state.value, f"{fact}_reason": reason, **(values or {})}.items():
        setattr(row, name, value)
    row.updated = session.now()
    payload = {"k": row.k, "size": row.size, "fact": fact, "state": state.value}
    payload |= {"reason": reason, **(values or {})}
    session.note("member", payload, family=row.family)


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
                facts |= dict.fromkeys((*MEASURES, "measured_reason"))
        found[row.digest] = found.get(row.digest, {}) | facts if own else facts
    return found
