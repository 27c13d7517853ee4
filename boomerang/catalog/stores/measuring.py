"""The measuring of a family: how far it is, and the results of tasks."""

from typing import Any

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import announce, standing
from boomerang.catalog.records.families import Family, has_result
from boomerang.catalog.records.states import Fact, Lease
from boomerang.catalog.setbacks import Limits, Setback, achieved, again, later
from boomerang.catalog.store import Store, family_row, member_row, record
from boomerang.catalog.stores.publications import outdate_cards
from boomerang.catalog.tables import FamilyRow, MemberRow
from boomerang.catalog.transitions import MEASURING, Actor, Measuring, check


class MeasuringStore(Store):
    """How far the measuring of families is."""

    def set_measuring(
        self, family: str, state: Fact, reason: str | None = None, *, lease: Lease | None = None
    ) -> Family:
        """Say how far the measuring of a family is; with any state but `running` it is over."""
        with self.db.write(lease) as session:
            row = family_row(session, family)
            after = Measuring.WITHOUT if state is Fact.NO else Measuring(state.value)
            change_measuring(session, row, after, reason, Actor.WORKER)
            return record(Family, row)

    def set_task(
        self, family: str, k: int, result: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Keep the result of one task, under its `name`, with its event.

        One that is new, and no failure, makes good the setbacks of the family's measuring.
        """
        with self.db.write(lease) as session:
            row = member_row(session, family, k)
            has = has_result(row.tasks, result["name"], result["limit"], result["harness"])
            if not has and not result["failed"]:
                achieved(family_row(session, family))
            row.tasks = {**(row.tasks or {}), str(result["name"]): result}
            row.updated = session.now()
            outdate_cards(session, family)
            session.note("task", {"k": k, "size": row.size, **result}, family=family)

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

    def measure_cancelled(self, family: str, reason: str, *, lease: Lease | None = None) -> None:
        """End a family's measuring on request; one that was asked for again since is sent again."""
        with self.db.write(lease) as session:
            row = family_row(session, family)
            if row.cancel:
                change_measuring(session, row, Measuring.FAILED, reason, Actor.WORKER)
            else:
                unsettle(session, row, "asked for again", Actor.WORKER)

    def measure_resend(
        self, family: str, reason: str | None = None, *, lease: Lease | None = None
    ) -> None:
        """Let a family be measured (again): the next reaper sends it, if nobody does before."""
        with self.db.write(lease) as session:
            unsettle(session, family_row(session, family), reason, Actor.WORKER)

    def measure_again(
        self, family: str, kind: Setback, reason: str, limits: Limits, *, lease: Lease | None = None
    ) -> bool:
        """After a setback: have a family measured later; False where it has had enough of them."""
        with self.db.write(lease) as session:
            row = family_row(session, family)
            wait = again(row, kind, session.now(), limits)
            if wait is None:
                return False
            due = row.due
            unsettle(session, row, later(reason, wait), Actor.WORKER)
            row.due = due
            return True


def change_measuring(
    session: Session, row: FamilyRow, state: Measuring, reason: str | None, by: Actor
) -> None:
    """Change how far a family's measuring is within a transaction, and write the event."""
    check(MEASURING, f"the measuring of {row.id}", measuring_of(row), state, by)
    unmeasured = state in (Measuring.WAITING, Measuring.WITHOUT)
    row.measuring = Fact.NO.value if unmeasured else state.value
    row.measuring_reason, row.updated = reason, session.now()
    row.settled = state not in (Measuring.WAITING, Measuring.RUNNING)
    payload = {"state": row.measuring, "reason": reason}
    session.note("measuring", payload, family=row.id)
    stands = standing(row)
    if stands is not None:
        announce(session, row.id, stands, reason)


def unsettle(
    session: Session, row: FamilyRow, reason: str | None, by: Actor, *, anew: bool = False
) -> None:
    """Let a family be measured (again): the next reaper sends it, if nobody does before.

    With `anew` an order that was found before stands no longer. Raises IllegalTransition.
    """
    row.sent, row.sends, row.due = 0.0, 0, None
    if anew:
        row.patch_order, row.chosen = None, None
    if measuring_of(row) is not Measuring.WAITING or row.measuring_reason != reason:
        change_measuring(session, row, Measuring.WAITING, reason, by)


def measuring_of(row: FamilyRow) -> Measuring:
    """How far a family's measuring is."""
    if row.measuring == Fact.NO:
        return Measuring.WITHOUT if row.settled else Measuring.WAITING
    return Measuring(row.measuring)
