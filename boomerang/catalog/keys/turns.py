"""Turns on the devices: a message rings a bell, and what is done is what is fairest of all that
waits, chosen and taken in one transaction.

A student whose key has as much as it may have waits: its bell is rung again by the reaper as soon
as there is room for it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select, update

from boomerang.catalog.database import Session
from boomerang.catalog.keys.fairness import Share, Waiting, fairest
from boomerang.catalog.keys.usage import NOBODYS, recent, today
from boomerang.catalog.leases import acquire, lost_leases
from boomerang.catalog.records.allowances import UNLIMITED, Allowance
from boomerang.catalog.records.states import Lease, StudentState
from boomerang.catalog.store import Store, family_row, student_row
from boomerang.catalog.tables import FamilyRow, KeyRow, LeaseRow, StudentRow, UsageRow

WAITS = "waits: "
"""How the reason of a student begins that waits for its own key."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a bell led to: the subject that was taken with its lease, or the named one without.

    `trace` is the id of the request that asked for it.
    """

    subject: str
    lease: Lease | None
    owner: str | None = None
    trace: str | None = None
    said: str = "already running"


class TurnStore(Store):
    """Turns on the devices."""

    def student_turn(self, named: str, holder: str, seconds: float, allowance: Allowance) -> Turn:
        """Take the student whose turn it is, where a message named one.

        The named one is taken where it is to be verified, which needs no turn, and where nothing
        waits. Keys without quotas of their own have `allowance`. Raises NotFound.
        """
        with self.db.write() as session:
            row = student_row(session, named)
            waiting, held_back = _students(session, row, allowance)
            chosen = None
            if row.state != StudentState.READY or row.verify is None:
                chosen = fairest(waiting, _shares(session, "student:", waiting))
            if chosen is not None:
                row = student_row(session, chosen.subject)
            elif row.state == StudentState.QUEUED or row.key in held_back:
                # Nobody hears this bell: another is rung once there is room.
                unsent = [{"key": key, "sent": 0.0, "sends": 0} for key in held_back]
                if unsent:
                    session.execute(update(StudentRow), unsent)
                return Turn(named, None, row.owner, row.trace, "waits")
            lease = acquire(session, f"student:{row.key}", holder, seconds)
            return Turn(row.key, lease, row.owner, row.trace)

    def family_turn(self, named: str, holder: str, seconds: float) -> Turn:
        """Take the family that is to be measured next, where a message named one.

        The named one is taken where its measuring was cancelled, and where nothing waits. Raises
        FamilyNotFound.
        """
        with self.db.write() as session:
            row = family_row(session, named)
            waiting = _families(session)
            chosen = fairest(waiting, _shares(session, "family:", waiting))
            ended = row.cancel and not row.settled
            if chosen is not None and not ended:
                row = family_row(session, chosen.subject)
            lease = acquire(session, f"family:{row.id}", holder, seconds)
            owner = student_row(session, row.student).owner
            return Turn(row.id, lease, owner, row.trace)

    def cancelled(self, subjects: Iterable[str]) -> frozenset[str]:
        """Of leases of students and families: those of which no more is to be done.

        A family that is gone is one of them.
        """
        split = [subject.partition(":") for subject in subjects]
        families = {name for kind, _, name in split if kind == "family"}
        students = {name for kind, _, name in split if kind == "student"}
        going_on = select(FamilyRow.id).where(
            FamilyRow.id.in_(families), FamilyRow.cancel.is_not(True)
        )
        ended = select(StudentRow.key).where(StudentRow.key.in_(students), StudentRow.cancel)
        with self.db.read() as session:
            over = families - set(session.scalars(going_on)) if families else set()
            done = session.scalars(ended).all() if students else ()
        return frozenset({*(f"family:{one}" for one in over), *(f"student:{one}" for one in done)})


class Room:
    """Whether keys may have another student distilled; what is begun meanwhile is counted."""

    def __init__(self, session: Session, allowance: Allowance) -> None:
        self._session, self._allowance = session, allowance
        self._reasons: dict[str, str | None] = {}
        self._left: dict[str, int] = {}
        self._running: Counter[str] | None = None

    def lacks(self, owner: str | None) -> str | None:
        """Why a key has to wait; None where it does not."""
        if owner is None:
            return None
        if owner not in self._reasons:
            self._reasons[owner] = self._look(owner)
        if self._left.get(owner, 1) <= 0:
            return self._full(owner)
        return self._reasons[owner]

    def begin(self, owner: str | None) -> None:
        """One more student of a key is begun, or will be."""
        if owner in self._left:
            self._left[owner] -= 1

    def _look(self, owner: str) -> str | None:
        may = self._of(owner)
        if may.running_at_once:
            if self._running is None:
                self._running = _running(self._session, "student:")
            self._left[owner] = may.running_at_once - self._running[owner]
        hours = may.device_hours_per_day
        row = self._session.get(UsageRow, (owner, today(self._session))) if hours else None
        if row is not None and row.device_seconds >= hours * 3600:
            return f"{WAITS}its key has used its {hours:g} hours of devices of today (UTC)"
        return None

    def _full(self, owner: str) -> str:
        most = self._of(owner).running_at_once
        return f"{WAITS}its key may have {most} distilled at once, and has"

    def _of(self, owner: str) -> Allowance:
        row = self._session.get(KeyRow, owner)
        if row is None:
            return self._allowance
        base = UNLIMITED if row.scope == "admin" else self._allowance
        return base.with_quotas(row.quotas)


def _students(
    session: Session, named: StudentRow, allowance: Allowance
) -> tuple[list[Waiting], list[str]]:
    """The students that wait and may be begun, and those that wait for their own key.

    No more is read of each than what that takes: there may be thousands, at each turn.
    """
    room, held, lost = Room(session, allowance), _held(session, "student:"), lost_leases(session)
    now = session.now()
    due = or_(StudentRow.due.is_(None), StudentRow.due <= now)
    queued = StudentRow.state == StudentState.QUEUED.value
    facts = (StudentRow.key, StudentRow.owner, StudentRow.updated, StudentRow.reason)
    found = session.execute(select(*facts).where(queued, due))
    rows = [(row.key, row.owner, row.updated, row.reason) for row in found]
    if named.state == StudentState.DISTILLING:
        # Its worker was lost, and nobody has found that yet.
        rows.append((named.key, named.owner, named.updated, named.reason))
    free, held_back = [], []
    # In the order in which those of one key are begun: no more are free than there is room for, so
    # that of many the same are told to wait on until it is their turn.
    for key, owner, updated, said in sorted(rows, key=lambda row: (row[2], row[0])):
        if key in held or (key != named.key and f"student:{key}" in lost):
            continue
        reason = room.lacks(owner)
        if reason is None:
            room.begin(owner)
            free.append(Waiting(key, owner or NOBODYS, updated))
        else:
            held_back.append(key)
        if said != reason and (reason or (said or "").startswith(WAITS)):
            row = student_row(session, key)
            row.reason = reason
            told = {"state": row.state, "reason": reason, "step": row.step, "steps": row.steps}
            session.note("student", told, student=key)
    return free, held_back


def _families(session: Session) -> list[Waiting]:
    """The families that wait to be measured."""
    held, lost, now = _held(session, "family:"), lost_leases(session), session.now()
    columns = select(FamilyRow.id, StudentRow.owner, FamilyRow.updated)
    rows = columns.join(StudentRow, StudentRow.key == FamilyRow.student).where(
        StudentRow.state == StudentState.READY.value,
        FamilyRow.settled.is_(False),
        FamilyRow.cancel.is_not(True),
        or_(FamilyRow.due.is_(None), FamilyRow.due <= now),
    )
    return [
        Waiting(id_, owner or NOBODYS, since)
        for id_, owner, since in session.execute(rows)
        if id_ not in held and f"family:{id_}" not in lost
    ]


def _held(session: Session, kind: str) -> set[str]:
    """What somebody works on of a kind of lease."""
    live = select(LeaseRow.subject).where(
        LeaseRow.expires > session.now(), LeaseRow.holder.is_not(None)
    )
    return {one.removeprefix(kind) for one in session.scalars(live) if one.startswith(kind)}


def _running(session: Session, kind: str) -> Counter[str]:
    """How much is worked on for each key; verifying what is ready takes no device."""
    keys = list(_held(session, kind))
    if kind == "student:":
        unfinished = StudentRow.state != StudentState.READY.value
        owners = select(StudentRow.owner).where(StudentRow.key.in_(keys), unfinished)
    else:
        owners = select(StudentRow.owner).join(FamilyRow, FamilyRow.student == StudentRow.key)
        owners = owners.where(FamilyRow.id.in_(keys))
    return Counter(owner or NOBODYS for owner in session.scalars(owners))


def _shares(session: Session, kind: str, waiting: Iterable[Waiting]) -> dict[str, Share]:
    running = _running(session, kind)
    used = recent(session, {one.owner for one in waiting})
    return {
        owner: Share(running[owner], *used.get(owner, (0.0, 0.0))) for owner in {*running, *used}
    }
