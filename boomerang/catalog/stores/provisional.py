"""Families whose files are not hashed yet: `hashing → keyed`.

Neither such a family nor its student has a name by content, so neither stands among the others:
nothing of it can be served, built or distilled. What was asked of it is kept as it was asked, and
is turned into records once more when every digest is known. Its id stays an id of the family that
it became (docs/decisions/service/provisional.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import select

from boomerang.catalog.credentials import forget_unneeded, keep_credential
from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import announce, catch_up, forget_listeners, hand_on, listen
from boomerang.catalog.keys.owners import (
    check_owner,
    first_owner,
    forget_owners,
    is_owner,
    lets_go,
    own,
    owners_follow,
)
from boomerang.catalog.keys.usage import spend_family
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.families import Created, Planned, Provisional
from boomerang.catalog.records.states import Keying, Lease
from boomerang.catalog.setbacks import Limits, Setback, achieved, afresh, again, gave_up, later
from boomerang.catalog.store import family_row, record
from boomerang.catalog.stores.families import FamilyStore
from boomerang.catalog.stores.requests import CANCELLED
from boomerang.catalog.tables import ProvisionalRow
from boomerang.catalog.transitions import KEYING, Actor, check

_OVER = (Keying.FAILED.value, Keying.CANCELLED.value)


class ProvisionalStore(FamilyStore):
    """Families that are named by what is known of their files before they are hashed."""

    def expect(
        self, planned: Planned, total: int, credential: Credential | None = None
    ) -> tuple[Provisional, bool]:
        """Keep what is asked until its files, `total` bytes, are hashed: the same is kept once.

        Says also whether the caller must send the hashing: of any number of equal calls at once
        one is told so. One that failed or was cancelled is begun again. Raises QuotaSpent.
        """
        with self.db.write() as session:
            now, id_ = session.now(), planned.family.id
            row = session.get(ProvisionalRow, id_)
            send = row is None or row.state != Keying.HASHING
            made = row is None or row.became is not None
            if row is None:
                empty: dict[str, list[Any]] = {"asked": [], "requests": []}
                row = ProvisionalRow(id=id_, state="", created=now, updated=now, **empty)
            row.name, row.plan = planned.family.name, _plan(planned)
            row.asked = _joined(row.asked, [planned.family.request])
            row.requests = _joined(row.requests, [asdict(request) for request in planned.requests])
            if send:
                row.done, row.total = 0, total
                session.add(row)
                self._begin(session, row)
            new = own(session, id_, planned.owner, made=made)
            if row.became is not None:
                # Its files were touched: what is hashed again is the family that it is already.
                new = new and not is_owner(session, row.became, planned.owner)
            spend_family(session, planned, new=new)
            if planned.notify is not None:
                listen(session, id_, planned.notify)
            keep_credential(session, credential)
            return record(Provisional, row), send

    def waiting(self, family: str) -> Provisional | None:
        """The family of a provisional id, as long as it has become none."""
        with self.db.read() as session:
            row = _unkeyed(session, family)
            return None if row is None else record(Provisional, row)

    def all_waiting(self) -> tuple[Provisional, ...]:
        """Every family that is not keyed, newest first."""
        with self.db.read() as session:
            statement = select(ProvisionalRow).where(ProvisionalRow.became.is_(None))
            newest = ProvisionalRow.created.desc()
            rows = session.scalars(statement.order_by(newest, ProvisionalRow.id))
            return tuple(record(Provisional, row) for row in rows)

    def family_id(self, family: str) -> str:
        """The id of a family; of a provisional id, that of the family it became, if it did."""
        with self.db.read() as session:
            return ids_of(session, family)[0]

    def check_family(self, family: str) -> None:
        """Raise FamilyNotFound where no family has this id, or had it while it was provisional."""
        with self.db.read() as session:
            if _unkeyed(session, family) is None:
                family_row(session, ids_of(session, family)[0])

    def keying(self, family: str) -> Provisional | None:
        """A provisional family that is to be keyed now."""
        with self.db.read() as session:
            row = session.get(ProvisionalRow, family)
            if row is None or row.state != Keying.HASHING:
                return None
            return record(Provisional, row)

    def set_hashed(
        self, family: str, done: int, total: int, reason: str | None = None, *, lease: Lease
    ) -> None:
        """Say how many bytes are hashed, and for what `reason` again. Raises LostLease."""
        with self.db.write(lease) as session:
            row = session.get(ProvisionalRow, family)
            if row is not None:
                if total < row.total:
                    achieved(row)  # files that are hashed stay so, whatever happens
                row.done, row.total, row.reason, row.running = done, total, reason, True
                payload = {"done": done, "total": total, "reason": reason}
                session.note("hashing", payload, family=family)

    def key_family(
        self, family: str, asked: Sequence[dict[str, Any]], planned: Sequence[Planned], lease: Lease
    ) -> tuple[Created, ...]:
        """Make a provisional family the family that its content names, or join it.

        `planned` are what was `asked`, with every digest known. Returns what each led to; nothing,
        and nothing is made, where it has others by now or was given up. Raises LostLease.
        """
        with self.db.write(lease) as session:
            row = session.get(ProvisionalRow, family)
            if row is None or row.state != Keying.HASHING or row.asked != list(asked):
                return ()
            owner = first_owner(session, family)
            made = [self._create(session, replace(one, owner=owner)) for one in planned]
            for one in made:
                owners_follow(session, family, one.family.id)
            forget_owners(session, {family} - {one.family.id for one in made})
            row.became, row.done = made[0].family.id, row.total
            change_keying(session, row, Keying.KEYED, None, Actor.WORKER)
            urls = hand_on(session, family, row.became)
            catch_up(session, family_row(session, row.became), urls)
            return tuple(made)

    def key_later(self, family: str, reason: str | None, *, lease: Lease, soon: bool) -> None:
        """Put it into the queue again: `soon`, or when the reaper's patience is over."""
        with self.db.write(lease) as session:
            row = session.get(ProvisionalRow, family)
            if row is not None:
                row.running, row.reason = False, reason
                row.sent, row.sends = (0.0, 0) if soon else (session.now(), row.sends)

    def key_again(
        self, family: str, reason: str, limits: Limits, *,
        kind: Setback = Setback.OUTSIDE, lease: Lease,
    ) -> None:  # fmt: skip
        """After a setback: hashed later, or failed after enough of them."""
        with self.db.write(lease) as session:
            row = session.get(ProvisionalRow, family)
            if row is None or row.state != Keying.HASHING:
                return
            wait = again(row, kind, session.now(), limits)
            row.running = False
            if wait is None:
                change_keying(session, row, Keying.FAILED, gave_up(reason, limits),
                              Actor.WORKER)  # fmt: skip
            else:
                row.reason = later(reason, wait)

    def keying_failed(self, family: str, reason: str, *, lease: Lease) -> None:
        """End it with a reason. Raises LostLease."""
        with self.db.write(lease) as session:
            row = session.get(ProvisionalRow, family)
            if row is not None and row.state == Keying.HASHING:
                change_keying(session, row, Keying.FAILED, reason, Actor.WORKER)

    def give_up(self, family: str, by: str | None = None) -> bool | None:
        """Cancel a provisional family; None where there is none of that id to be keyed.

        It is published only for whoever asks for that again, and may: not for a rebuild. False
        where it goes on, as others own it beside the key that it is cancelled `by`. Raises
        NotYours.
        """
        with self.db.write() as session:
            row = _unkeyed(session, family)
            if row is None:
                return None
            if lets_go(session, family, by):
                return False
            if row.state == Keying.HASHING:
                row.asked = _joined([], [{**one, "publish": None} for one in row.asked])
                row.requests = [request for request in row.requests if request["kind"] != "publish"]
                change_keying(session, row, Keying.CANCELLED, CANCELLED, Actor.REQUEST)
            return True

    def forget_waiting(self, family: str, by: str | None = None) -> bool | None:
        """Forget a provisional family; None where there is none of that id to be keyed.

        False where it stays, as others own it beside the key that it is deleted `by`. Raises
        NotYours.
        """
        with self.db.write() as session:
            row = _unkeyed(session, family)
            if row is None:
                return None
            if lets_go(session, family, by):
                return False
            session.delete(row)
            forget_listeners(session, family)
            forget_owners(session, [family])
            session.flush()
            forget_unneeded(session)
            session.note("family", {"state": "deleted"}, family=family)
            return True

    def hash_again(self, family: str, by: str | None = None) -> bool | None:
        """Ask for a provisional family to be made; whether the caller must send the hashing.

        None where there is none of that id to be keyed. Raises NotYours.
        """
        with self.db.write() as session:
            row = _unkeyed(session, family)
            if row is None:
                return None
            check_owner(session, family, by)
            send = row.state in _OVER
            if send:
                self._begin(session, row)
            return send

    def _begin(self, session: Session, row: ProvisionalRow) -> None:
        afresh(row, session.now())
        change_keying(session, row, Keying.HASHING, None, Actor.REQUEST)


def change_keying(
    session: Session, row: ProvisionalRow, state: Keying, reason: str | None, by: Actor
) -> None:
    """Change the state of a provisional family within a transaction, and write the event."""
    check(KEYING, f"the provisional family {row.id}", row.state, state, by)
    row.state, row.reason, row.updated, row.running = state.value, reason, session.now(), False
    session.flush()
    if state is not Keying.HASHING:
        forget_unneeded(session)
    # Who follows it reads its states as those of the student that it will have.
    kind = "family" if state is Keying.KEYED else "student"
    payload = {"state": state.value, "reason": reason, "became": row.became}
    session.note(kind, payload, family=row.id)
    if state in (Keying.FAILED, Keying.CANCELLED):
        announce(session, row.id, state.value, reason)


def ids_of(session: Session, family: str) -> list[str]:
    """Every id of a family, the one it has by its content first."""
    row = session.get(ProvisionalRow, family)
    id_ = row.became if row is not None and row.became is not None else family
    others = select(ProvisionalRow.id).where(ProvisionalRow.became == id_)
    return [id_, *session.scalars(others)]


def _unkeyed(session: Session, family: str) -> ProvisionalRow | None:
    row = session.get(ProvisionalRow, family)
    return None if row is None or row.became is not None else row


def _plan(planned: Planned) -> dict[str, Any]:
    """The records of a plan as JSON, without the names that it has not yet."""
    family, student = planned.family, planned.student
    if family.source is not None:
        family = replace(family, commit="")
        student = replace(student, teacher_commit="")
    unnamed = replace(student, key="", data_digest=None, revision_commit=None)
    return {
        "family": asdict(replace(family, student="")),
        "student": asdict(unnamed) | {"kept": [*student.kept]},
        "members": [asdict(replace(member, digest="")) for member in planned.members],
    }


def _joined(known: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    found = list(known)
    for one in more:
        if one not in found:
            found.append(one)
    return found
