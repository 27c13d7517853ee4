"""Telling who wants to be told: whatever stands in the outbox, host by host."""

import logging

from boomerang.catalog.records.states import LostLease
from boomerang.catalog.setbacks import Setback
from boomerang.service.notify import NobodyThere, NotTaken, body_of, send
from workers.context import Context
from workers.leases import Holding, holding
from workers.outages import said, setback

log = logging.getLogger("boomerang.workers")


def tell(context: Context) -> str:
    """Send every notice that is due; return how many were taken.

    One worker at a time speaks to a host, which gets them in the order of what happened.
    """
    taken = 0
    for host in context.catalog.notice_hosts():
        with holding(context, f"notices:{host}") as held:
            if held is None:
                continue
            try:
                taken += _tell(context, host, held)
            except LostLease:
                continue
    return f"{taken} taken"


def _tell(context: Context, host: str, held: Holding) -> int:
    taken, catalog = 0, context.catalog
    while held.end is None and (notice := catalog.next_notice(host)) is not None:
        try:
            send(context.settings, notice.url, notice.id, body_of(context.settings, notice))
        except NotTaken as error:
            away = isinstance(error, NobodyThere)
            log.warning("%s %s was not taken by %s: %s", notice.kind, notice.id, host, error)
            catalog.notice_again(notice.id, str(error), away=away, lease=held.lease)
            continue
        except Exception as error:
            if setback(error, f"{notice.kind} {notice.id}") is Setback.OUTSIDE:
                raise
            # Those behind it must not wait for a fault that is this one's.
            catalog.notice_again(notice.id, said(error), away=False, lease=held.lease)
            continue
        catalog.notice_taken(notice.id, lease=held.lease)
        taken += 1
    return taken
