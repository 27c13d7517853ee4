"""Teachers that move on: what the Hub told of them, and the families that this outdates.

The Hub tells at least once, in any order, to whichever front end it reaches. So each move of a
branch is remembered: the same one, or an older one that comes later, changes nothing.
"""

from dataclasses import dataclass

from sqlalchemy import delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import catch_up, hand_on
from boomerang.catalog.keys.owners import owners_follow
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import Lease
from boomerang.catalog.setbacks import Limits, Setback, again
from boomerang.catalog.store import Store, record
from boomerang.catalog.tables import FamilyRow, FollowRow, MoveRow, RepoRow, StudentRow

MAIN = "main"
"""The branch that a family follows whose request names none."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A branch or tag of a repository that names another commit now."""

    repo: str
    ref: str
    old: str
    new: str


@dataclass(frozen=True)
class Moved:
    """The ids of families that are outdated, those of them that are made anew, or why none is."""

    outdated: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    ignored: str | None = None


class FollowingStore(Store):
    """What the Hub told of teachers, and the families that are to follow them."""

    def teacher_moved(self, move: Move, *, rebuild: bool) -> Moved:
        """Mark the families of a teacher that are of another commit than its new one.

        With `rebuild` they are to be made anew, but for those that were cancelled: the next reaper
        sends that. A family that is of the new commit is outdated no more.
        """
        with self.db.write() as session:
            if _ours(session, move.repo):
                return Moved(ignored=f"{move.repo} was published by this service.")
            families = [row for row in _of_teacher(session, move.repo) if follows(row, move.ref)]
            if not families:
                return Moved(ignored=f"No family follows {move.ref} of {move.repo}.")
            known = _known(session, move)
            if known is not None:
                return Moved(ignored=known)
            session.add(MoveRow(**vars(move), time=session.now()))
            older = [row for row in families if row.commit != move.new]
            for row in families:
                _mark(session, row, move.new if row in older else None)
            anew = [row for row in older if rebuild and not row.cancel]
            for row in anew:
                session.merge(FollowRow(family=row.id, attempts=0, sent=0.0, sends=0))
            why = None if older else f"Every family that follows {move.ref} is of that commit."
            return Moved(tuple(row.id for row in older), tuple(row.id for row in anew), why)

    def following(self, family: str) -> Family | None:
        """A family that is to be made anew, as long as it is."""
        with self.db.read() as session:
            if session.get(FollowRow, family) is None:
                return None
            return record(Family, session.get_one(FamilyRow, family))

    def followed(
        self, family: str, *, by: str | None, reason: str | None = None, lease: Lease
    ) -> None:
        """A family was made anew, `by` which, or cannot be, for what `reason`. Raises LostLease."""
        with self.db.write(lease) as session:
            if session.get(FollowRow, family) is not None:
                if by is not None:
                    self._hand_on(session, family, by)
                end_following(session, family, by, reason)

    def _hand_on(self, session: Session, family: str, by: str) -> None:
        """Who is told of a family, or owns it, is told of the one that follows it, or owns that."""
        urls, row = hand_on(session, family, by), session.get(FamilyRow, by)
        owners_follow(session, family, by)
        if row is not None:
            catch_up(session, row, urls)

    def follow_again(
        self, family: str, reason: str, limits: Limits, *,
        kind: Setback = Setback.OUTSIDE, lease: Lease,
    ) -> None:  # fmt: skip
        """After a setback: a new family is made later, or not at all after enough of them."""
        with self.db.write(lease) as session:
            row = session.get(FollowRow, family)
            if row is not None and again(row, kind, session.now(), limits) is None:
                end_following(session, family, None, reason)


def follows(family: FamilyRow, ref: str) -> bool:
    """Whether a family is of whatever a ref names; one of a commit, or of a folder, is not."""
    name = family.revision or MAIN
    names = (name, f"refs/heads/{name}", f"refs/tags/{name}")
    return family.source is None and ref in names


def end_following(session: Session, family: str, by: str | None, reason: str | None) -> None:
    """A family is followed `by` another or, for a `reason`, by none."""
    session.execute(delete(FollowRow).where(FollowRow.family == family))
    state = "not-followed" if by is None else "followed"
    session.note("family", {"state": state, "by": by, "reason": reason}, family=family)


def _mark(session: Session, row: FamilyRow, commit: str | None) -> None:
    if row.outdated != commit:
        row.outdated, row.updated = commit, session.now()
        state = "current" if commit is None else "outdated"
        session.note("family", {"state": state, "commit": commit}, family=row.id)


def _of_teacher(session: Session, teacher: str) -> list[FamilyRow]:
    mine = select(FamilyRow).where(FamilyRow.teacher == teacher)
    return list(session.scalars(mine.order_by(FamilyRow.created, FamilyRow.id)))


def _ours(session: Session, repo: str) -> bool:
    kept = select(StudentRow.key).where(StudentRow.hub_repo == repo)
    return session.get(RepoRow, repo) is not None or session.scalars(kept).first() is not None


def _known(session: Session, move: Move) -> str | None:
    """Why a move is nothing new: it was told before, or one that came after it was."""
    same = select(MoveRow).where(MoveRow.repo == move.repo, MoveRow.ref == move.ref)
    before = session.scalars(same.order_by(MoveRow.id)).all()
    if any((one.old, one.new) == (move.old, move.new) for one in before):
        return f"That {move.ref} moved to {move.new} is known."
    seen = {commit for one in before for commit in (one.old, one.new)}
    # Where it goes on from the newest, somebody has gone back to a commit from before.
    if move.new in seen and move.old != before[-1].new:
        return f"{move.ref} has moved on from {move.new}."
    return None
