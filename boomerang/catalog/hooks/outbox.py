"""Who is told what becomes of a family, and what they have not been told yet.

A notice is written in the transaction of the change that it tells of, once for each listener, and
stays until its address has taken it or has not for a day.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, select, update

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import Fact, Lease
from boomerang.catalog.store import Store, record
from boomerang.catalog.tables import (
    FamilyRow,
    ListenerRow,
    NameRow,
    NoticeRow,
    ProvisionalRow,
    RequestRow,
)
from boomerang.errors import BadRequest
from boomerang.retries import backoff, jittered

LISTENERS = 8
"""The most addresses that are told of one family."""
DAY = 86400.0
"""Seconds after which an address that takes no notice is given up."""
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something to tell an address: `kind` as in `family.ready`, `created` in Unix seconds."""

    id: str
    family: str
    url: str
    host: str
    kind: str
    data: dict[str, Any]
    created: float


class NoticeStore(Store):
    """Notices that nobody has taken yet."""

    def notice_hosts(self) -> tuple[str, ...]:
        """The hosts that something is to be told now."""
        with self.db.read() as session:
            now = select(NoticeRow.host).where(NoticeRow.due.is_(None)).distinct()
            return tuple(session.scalars(now.order_by(NoticeRow.host)))

    def next_notice(self, host: str) -> Notice | None:
        """The oldest that a host is to be told now."""
        with self.db.read() as session:
            row = next_of(session, host)
            return None if row is None else record(Notice, row)

    def notice_taken(self, notice: str, *, lease: Lease | None = None) -> None:
        """An address has taken a notice. Raises LostLease."""
        with self.db.write(lease) as session:
            session.execute(delete(NoticeRow).where(NoticeRow.id == notice))

    def notice_again(
        self, notice: str, reason: str, *, away: bool, lease: Lease | None = None
    ) -> None:
        """Tell it later, after 2, 4, 8, … seconds, or no more after a day, with an event.

        Where the host is `away`, whatever else it is to be told waits as long. Raises LostLease.
        """
        with self.db.write(lease) as session:
            row = session.get(NoticeRow, notice)
            if row is None:
                return
            if put_off(session, row, reason) and away:
                others = update(NoticeRow).where(NoticeRow.host == row.host)
                session.execute(others.where(NoticeRow.due.is_(None)).values(due=row.due))


def next_of(session: Session, host: str) -> NoticeRow | None:
    """The oldest notice that a host is to be told now."""
    now = select(NoticeRow).where(NoticeRow.host == host, NoticeRow.due.is_(None))
    return session.scalars(now.order_by(NoticeRow.created, NoticeRow.id).limit(1)).first()


def put_off(session: Session, row: NoticeRow, reason: str, *, at_most: int | None = None) -> bool:
    """Have a notice told later; False, with an event, after a day or so many attempts."""
    now = session.now()
    row.attempts += 1
    if now - row.created >= DAY or (at_most is not None and row.attempts >= at_most):
        told = {"notice": row.kind, "host": row.host, "reason": reason}
        session.note("untold", told, family=row.family)
        session.delete(row)
        session.flush()
        return False
    row.due = now + jittered(backoff(row.attempts, 2.0, _LONGEST_WAIT))
    return True


def lost_at(session: Session, host: str, at_most: int) -> None:
    """A worker was lost while it told a host: its first notice may be why, the others go on."""
    mine = update(NoticeRow).where(NoticeRow.host == host)
    session.execute(mine.values(sent=0.0, sends=0))
    row = next_of(session, host)
    if row is not None:
        put_off(session, row, "its worker was lost", at_most=at_most)


def listen(session: Session, family: str, url: str) -> None:
    """Have an address told what becomes of a family. Raises BadRequest where too many are."""
    known = set(session.scalars(select(ListenerRow.url).where(ListenerRow.family == family)))
    if url in known:
        return
    if len(known) >= LISTENERS:
        raise BadRequest(
            f"{LISTENERS} addresses are told of this family already.",
            value=url,
            fix="Ask without notify, and follow GET /families/{id}/events.",
        )
    session.add(ListenerRow(family=family, url=url))
    session.flush()


def hand_on(session: Session, family: str, to: str) -> list[str]:
    """Have whoever is told of a family told of another; returns their addresses."""
    theirs = select(ListenerRow.url).where(ListenerRow.family == family)
    urls = list(session.scalars(theirs.order_by(ListenerRow.url)))
    if to != family:
        for url in urls:
            session.merge(ListenerRow(family=to, url=url))
        session.flush()
    return urls


def forget_listeners(session: Session, family: str) -> None:
    """Nobody is told of a family any more; what has happened already still is."""
    session.execute(delete(ListenerRow).where(ListenerRow.family == family))


def announce(session: Session, family: str, state: str, reason: str | None = None) -> None:
    """Write that a family is ready, failed or cancelled: for the event stream and its listeners."""
    session.note("family", {"state": state, "reason": reason}, family=family)
    tell(session, family, f"family.{state}", reason=reason)


def standing(row: FamilyRow) -> str | None:
    """Whether a family whose student is whole is ready, failed or cancelled; None if neither."""
    if not row.settled:
        return None
    if row.measuring != Fact.FAILED:
        return "ready"
    return "cancelled" if row.cancel else "failed"


def tell_request(session: Session, row: RequestRow, urls: Iterable[str] | None = None) -> None:
    """Write that what was asked of a family is done, or has failed."""
    done = "done" if row.state == Fact.YES else "failed"
    tell(session, row.family, f"{row.kind}.{done}", urls, what=row.what, reason=row.reason)


def catch_up(session: Session, row: FamilyRow, urls: Iterable[str]) -> None:
    """Tell who has only now asked to be told how a family stands, and what is done of it."""
    state, urls = standing(row), list(urls)
    if state is None or not urls:
        return
    tell(session, row.id, f"family.{state}", urls, reason=row.measuring_reason)
    done = select(RequestRow).where(RequestRow.family == row.id, RequestRow.state == Fact.YES.value)
    for request in session.scalars(done.order_by(RequestRow.id)).all():
        tell_request(session, request, urls)


def tell(
    session: Session, family: str, kind: str, urls: Iterable[str] | None = None, **more: str | None
) -> None:
    """Write a notice for each listener of a family, or for each of `urls`."""
    if urls is None:
        urls = session.scalars(select(ListenerRow.url).where(ListenerRow.family == family)).all()
    for url in urls:
        session.add(
            NoticeRow(
                id=f"msg_{uuid.uuid4().hex}",
                family=family,
                url=url,
                host=urlsplit(url).netloc,
                kind=kind,
                data=_facts(session, family) | more,
                created=session.now(),
                attempts=0,
                sent=0.0,
                sends=0,
            )
        )


def _facts(session: Session, family: str) -> dict[str, Any]:
    row = session.get(FamilyRow, family)
    if row is not None:
        named = select(NameRow.name).where(NameRow.family == family)
        name = session.scalars(named).first() or row.name
        return {"id": family, "name": name, "teacher": row.teacher, "commit": row.commit}
    waiting = session.get_one(ProvisionalRow, family)
    plan = waiting.plan["family"]
    commit = plan["commit"] or None
    return {"id": family, "name": waiting.name, "teacher": plan["teacher"], "commit": commit}
