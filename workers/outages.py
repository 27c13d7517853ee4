"""What workers do about errors: wait until they have passed, try again later, or give up."""

import logging

from kombu.exceptions import OperationalError as QueueError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from boomerang.catalog.records.families import Member
from boomerang.catalog.records.states import Fact, FactName, LostLease
from boomerang.catalog.setbacks import Setback
from boomerang.errors import MAKE_ROOM, NotFound, no_room
from boomerang.processes.json_lines import Ending
from boomerang.processes.redacted import without_tokens
from boomerang.retries import Fate, fate, passes
from workers.context import Context
from workers.leases import Holding

log = logging.getLogger("boomerang.workers")

SETBACKS = {Ending.AWAY: Setback.OUTSIDE, Ending.DIED: Setback.DIED}
"""The ends of a child after which it may succeed later: not where it refused what it was told."""

_LONGEST_SECONDS = 5.0


def setback(error: Exception, about: str) -> Setback | None:
    """How an error counts: None where another attempt would end as this one did.

    One that nobody has thought of goes into the log, and counts as if its worker had died.
    """
    found = fate(error)
    if found is Fate.UNKNOWN:
        log.error("%s", about, exc_info=error)
        return Setback.DIED
    return Setback.OUTSIDE if found is Fate.LATER else None


def said(error: BaseException) -> str:
    """What is told of an error: no statement, and no address of a server."""
    name = type(error).__name__
    if isinstance(error, SQLAlchemyError):
        return f"the catalog's database is away ({name})" if passes(error) else name
    if isinstance(error, QueueError | RedisError):
        return f"the queue is away ({name})"
    if isinstance(error, OSError) and no_room(error):
        return f"the disk is full ({error.strerror}). {MAKE_ROOM}"
    return without_tokens(str(error)) or name


def patiently(held: Holding) -> Retrying:
    """Call something again and again while what it needs is away, as long as the work goes on.

    Raises the last error once the work must end: where the database is away for longer than a
    lease lasts, somebody else may have begun.
    """
    return Retrying(
        retry=retry_if_exception(passes),
        wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_SECONDS),
        stop=stop_when_event_set(held.ended),
        sleep=sleep_using_event(held.ended),
        reraise=True,
    )


def failed(
    context: Context, member: Member, fact: FactName, error: Exception, held: Holding
) -> str:
    """A member could not be built or published: keep why, and whether it is tried again.

    What is said to be there stays so: it was only looked at, or is published again.
    """
    catalog, which = context.catalog, (member.family, member.k, fact)
    kind = setback(error, f"member {member.size} of {member.family}")
    try:
        there = getattr(catalog.member(member.family, member.k), fact) is Fact.YES
        again, limits = catalog.member_again, context.settings.limits
        may_pass = kind is not None and (not there or fact == "published")
        told = {"kind": kind, "lease": held.lease}
        if may_pass and patiently(held)(again, *which, said(error), limits, **told):
            return "again"
        state = Fact.YES if there else Fact.FAILED
        catalog.set_fact(*which, state, said(error), lease=held.lease)
    except (LostLease, NotFound):
        return "lost"
    return "failed"
