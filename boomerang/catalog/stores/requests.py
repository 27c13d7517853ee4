"""Requests upon a family: which members to build or to publish, and when."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select, update

from boomerang.catalog.credentials import forget_unneeded
from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import tell_request
from boomerang.catalog.leases import forget_tries, tries_of, work_of
from boomerang.catalog.records.families import Member, NewRequest, Request
from boomerang.catalog.records.states import Fact, FactName, Lease
from boomerang.catalog.records.students import digest_of
from boomerang.catalog.setbacks import Limits, Setback, afresh, again, gave_up
from boomerang.catalog.store import Store, member_row, record
from boomerang.catalog.stores.members import change_fact
from boomerang.catalog.tables import MemberRow, RequestRow, TryRow
from boomerang.catalog.transitions import REQUEST, Actor, check
from boomerang.errors import BoomerangError
from boomerang.family.budget import meant

CANCELLED = "cancelled on request"
FACT_OF: Mapping[str, FactName] = {"build": "built", "publish": "published"}
"""What a request of a kind is about."""


class RequestStore(Store):
    """Requests, by id and by family."""

    def is_open(self, request: int) -> bool:
        """Whether a request is neither done nor given up."""
        with self.db.read() as session:
            row = session.get(RequestRow, request)
            return row is not None and row.state in (Fact.NO, Fact.RUNNING)

    def requests(self, family: str) -> tuple[Request, ...]:
        """What was asked of a family, oldest first."""
        with self.db.read() as session:
            statement = (
                select(RequestRow).where(RequestRow.family == family).order_by(RequestRow.id)
            )
            return tuple(record(Request, row) for row in session.scalars(statement))

    def all_requests(self) -> dict[str, tuple[Request, ...]]:
        """What was asked of every family, oldest first, by the family's id."""
        with self.db.read() as session:
            found: dict[str, list[Request]] = {}
            for row in session.scalars(select(RequestRow).order_by(RequestRow.id)):
                found.setdefault(row.family, []).append(record(Request, row))
            return {family: tuple(requests) for family, requests in found.items()}

    def open_request(self, request: Request, members: Sequence[Member]) -> None:
        """Begin with a request: what its members failed at before was somebody else's request."""
        fact = FACT_OF[request.kind]
        with self.db.write() as session:
            row = session.get(RequestRow, request.id)
            if row is None:
                return
            change_request(session, row, Fact.RUNNING, None, Actor.WORKER)
            for one in members:
                member = session.get(MemberRow, (one.family, one.k))
                if member is not None and getattr(member, fact) == Fact.FAILED:
                    forget_tries(session, work_of(fact, member.digest))
                    change_fact(session, member, fact, Fact.NO, "asked for again", Actor.WORKER)

    def set_request(self, request: int, state: Fact, reason: str | None = None) -> None:
        """Change the state of a request; one that was deleted meanwhile is left alone.

        To say the same again changes nothing. Raises IllegalTransition.
        """
        with self.db.write() as session:
            row = session.get(RequestRow, request)
            if row is not None and (row.state, row.reason) != (state.value, reason):
                change_request(session, row, state, reason, Actor.WORKER)
                if state is Fact.FAILED:
                    self._park(session, row)

    def _park(self, session: Session, row: RequestRow) -> None:
        """A request is parked where one of its members is."""
        fact = FACT_OF[row.kind]
        gone = [one for one in _meant(session, row) if getattr(one, fact) is Fact.FAILED]
        tries = [session.get(TryRow, work_of(fact, one.digest)) for one in gone]
        parked = next((one for one in tries if one is not None and one.parked), None)
        if parked is not None:
            row.attempts, row.parked = parked.attempts, True

    def member_gone(
        self, family: str, k: int, fact: FactName, reason: str, *, lease: Lease | None = None
    ) -> None:
        """A member is not what it was said to be: no longer built, or no longer on the Hub.

        The requests that had it built are open again. Those that had it published have failed:
        somebody may have wanted it gone, and who asks again has it again.
        """
        with self.db.write(lease) as session:
            row = member_row(session, family, k)
            state = Fact.NO if fact == "built" else Fact.FAILED
            change_fact(session, row, fact, state, reason, Actor.WORKER)
            if fact == "built":
                reopen(session, family, "build", reason)
            else:
                undo(session, family, "publish", k, reason)

    def settle_soon(self, family: str) -> None:
        """The next reaper looks after the open requests of a family."""
        with self.db.write() as session:
            mine = update(RequestRow).where(RequestRow.family == family)
            session.execute(mine.values(sent=0.0, sends=0))

    def settle_again(
        self, family: str, reason: str, setback: tuple[Setback, Limits] | None, *, lease: Lease
    ) -> bool:
        """Whoever looked after a family's requests could not: they are looked after later.

        Without a setback, or after enough of them, they have failed; whether it is later. Raises
        LostLease.
        """
        with self.db.write(lease) as session:
            tried, wait = tries_of(session, f"settle:{family}"), None
            if setback is not None:
                wait = again(tried, setback[0], session.now(), setback[1])
                reason = reason if wait is not None else gave_up(reason, setback[1])
            if wait is None:
                for row in _unfinished(session, family):
                    row.attempts, row.parked = tried.attempts, tried.parked
                    change_request(session, row, Fact.FAILED, reason, Actor.WORKER)
            return wait is not None

    def settle_done(self, family: str, *, lease: Lease) -> None:
        """Whoever looked after a family's requests lived to say so. Raises LostLease."""
        with self.db.write(lease) as session:
            forget_tries(session, f"settle:{family}")


def resolve(members: tuple[Member, ...], what: str) -> tuple[Member, ...]:
    """The members that a request means: `*`, an exact size, or the largest within a budget.

    Raises SizeNotFound, BudgetOutOfRange.
    """
    return members if what == "*" else meant([members], what)


def keep_request(session: Session, family: str, new: NewRequest, owner: str | None = None) -> bool:
    """Keep a request of a key; return whether there is anything to do for it.

    An equal request that is open or done is the same one; one that failed is opened again, and one
    that was done and is so no longer. One that several keys asked for is no key's alone.
    """
    digest = digest_of(new.options)
    same = select(RequestRow).where(
        RequestRow.family == family,
        RequestRow.kind == new.kind,
        RequestRow.what == new.what,
        RequestRow.options_digest == digest,
    )
    row = session.scalars(same).one_or_none()
    if row is None:
        row = RequestRow(
            family=family,
            kind=new.kind,
            what=new.what,
            options=dict(new.options),
            options_digest=digest,
            state="",
            sent=session.now(),
            owner=owner,
        )
        session.add(row)
        session.flush()
    elif row.state != Fact.FAILED and not _undone(session, row):
        row.owner = owner if row.owner == owner else None
        return False
    row.owner = owner
    afresh(row, session.now())
    forget_tries(session, f"settle:{family}")
    change_request(session, row, Fact.NO, None, Actor.REQUEST)
    return True


def reword(session: Session, row: RequestRow, what: str) -> None:
    """Have a request mean something else, unless there is one that does already."""
    same = select(RequestRow.id).where(
        RequestRow.family == row.family,
        RequestRow.kind == row.kind,
        RequestRow.what == what,
        RequestRow.options_digest == row.options_digest,
    )
    if session.scalars(same).first() is not None:
        session.delete(row)
        return
    row.what = what
    payload = {name: getattr(row, name) for name in ("id", "kind", "what", "state", "reason")}
    session.note("want", payload, family=row.family)


def reopen(session: Session, family: str, kind: str, reason: str) -> None:
    """Open the requests of a family that were done; the next reaper has the rest of them done."""
    done = select(RequestRow).where(
        RequestRow.family == family, RequestRow.kind == kind, RequestRow.state == Fact.YES.value
    )
    for row in session.scalars(done):
        forget_tries(session, f"settle:{family}")
        afresh(row, 0.0)
        change_request(session, row, Fact.NO, reason, Actor.WORKER)


def reopen_failed(session: Session, family: str, *, publishing: bool) -> bool:
    """Open what was asked of a family and failed, on request; whether there was any of it.

    Of publications only where `publishing` is allowed; those as a requester are for who asked,
    with the token once more.
    """
    kinds = ("build", "publish") if publishing else ("build",)
    failed = select(RequestRow).where(
        RequestRow.family == family,
        RequestRow.kind.in_(kinds),
        RequestRow.state == Fact.FAILED.value,
    )
    rows = [row for row in session.scalars(failed).all() if not row.options.get("credential")]
    for row in rows:
        forget_tries(session, f"settle:{family}")
        afresh(row, session.now())
        change_request(session, row, Fact.NO, "asked for again", Actor.REQUEST)
    return bool(rows)


def undo(session: Session, family: str, kind: str, member: int, reason: str) -> None:
    """A member with `member` patched layers is gone: requests that it was made for have failed.

    Nobody makes it again who is not asked for that.
    """
    done = select(RequestRow).where(
        RequestRow.family == family, RequestRow.kind == kind, RequestRow.state == Fact.YES.value
    )
    for row in session.scalars(done).all():
        gone = [one for one in _meant(session, row) if one.k == member]
        for one in gone:
            # In two steps: a late worker must not make what is done failed.
            for state in (Fact.NO, Fact.FAILED):
                change_request(session, row, state, f"{one.size}: {reason}", Actor.WORKER)


def give_up(session: Session, family: str, reason: str) -> None:
    """End the requests of a family that are open, on request."""
    for row in _unfinished(session, family):
        change_request(session, row, Fact.FAILED, reason, Actor.REQUEST)


def give_up_own(session: Session, family: str, owner: str | None, reason: str) -> None:
    """End the requests of a family that are open and that one key alone asked for."""
    unfinished = RequestRow.state.in_((Fact.NO.value, Fact.RUNNING.value))
    mine = (RequestRow.family == family) & (RequestRow.owner == owner)
    for row in session.scalars(select(RequestRow).where(mine, unfinished)).all():
        change_request(session, row, Fact.FAILED, reason, Actor.REQUEST)


def _unfinished(session: Session, family: str) -> list[RequestRow]:
    unfinished = RequestRow.state.in_((Fact.NO.value, Fact.RUNNING.value))
    mine = select(RequestRow).where(RequestRow.family == family, unfinished)
    return list(session.scalars(mine).all())


def change_request(
    session: Session, row: RequestRow, state: Fact, reason: str | None, by: Actor
) -> None:
    """Change a request within a transaction, and write the event. Raises IllegalTransition."""
    check(REQUEST, f"the request {row.id}", row.state, state, by)
    row.state, row.reason, row.updated = state.value, reason, session.now()
    payload = {name: getattr(row, name) for name in ("id", "kind", "what", "state", "reason")}
    session.note("want", payload, family=row.family)
    if state in (Fact.YES, Fact.FAILED):
        tell_request(session, row)
        forget_unneeded(session)


def _undone(session: Session, row: RequestRow) -> bool:
    """Whether a request was done of which a member is not there now."""
    fact = FACT_OF[row.kind]
    return row.state == Fact.YES and any(
        getattr(member, fact) is not Fact.YES for member in _meant(session, row)
    )


def _meant(session: Session, row: RequestRow) -> tuple[Member, ...]:
    ladder = select(MemberRow).where(MemberRow.family == row.family)
    rows = session.scalars(ladder.order_by(MemberRow.parameters, MemberRow.k))
    try:
        return resolve(tuple(record(Member, one) for one in rows), row.what)
    except BoomerangError:
        return ()  # the ladder is another one now
