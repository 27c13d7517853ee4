"""Which errors pass by themselves, and waiting until they do."""

import errno
import logging

from kombu.exceptions import OperationalError as QueueError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
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
from boomerang.errors import MAKE_ROOM, BoomerangError, NotFound, no_room
from boomerang.processes.json_lines import Ending
from boomerang.processes.redacted import without_tokens
from workers.context import Context
from workers.leases import Holding

log = logging.getLogger("boomerang.workers")

SETBACKS = {Ending.AWAY: Setback.OUTSIDE, Ending.DIED: Setback.DIED}
"""The ends of a child after which it may succeed later: not where it refused what it was told."""

_LONGEST_SECONDS = 5.0
_AWAY = (
    *(OperationalError, InterfaceError, PoolTimeout),
    *(QueueError, RedisConnectionError, RedisTimeoutError),
    *(ConnectionError, TimeoutError),
)
_FLEETING = frozenset({errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EREMOTEIO})
"""What a folder of another machine says while that is away."""


def passes(error: BaseException) -> bool:
    """Whether an error is of something outside that is away: database, queue, Hub, network folder,
    room on a disk.

    Anything else (a refusal, a damaged checkpoint, a bad recipe) will be the same again.
    """
    if isinstance(error, BoomerangError):
        return error.transient
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, OSError) and (error.errno in _FLEETING or no_room(error)):
        return True
    return isinstance(error, _AWAY)


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
    if not isinstance(error, BoomerangError | OSError) and not passes(error):
        log.exception("member %s of %s", member.size, member.family, exc_info=error)
    try:
        there = getattr(catalog.member(member.family, member.k), fact) is Fact.YES
        again, limits = catalog.member_again, context.settings.limits
        may_pass = passes(error) and (not there or fact == "published")
        if may_pass and patiently(held)(again, *which, said(error), limits, lease=held.lease):
            return "again"
        state = Fact.YES if there else Fact.FAILED
        catalog.set_fact(*which, state, said(error), lease=held.lease)
    except (LostLease, NotFound):
        return "lost"
    return "failed"
