"""Making a family anew at its teacher's new commit, as it was asked for."""

import logging

from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import LostLease
from boomerang.service.intake.asked import KeptRequest
from boomerang.service.intake.pipeline import ask
from workers.context import Context
from workers.leases import Holding, holding
from workers.outages import patiently, said, setback

log = logging.getLogger("boomerang.workers")


def follow(context: Context, family_id: str) -> str:
    """Ask for a family once more, now that its teacher has another commit; say what was done.

    Which commit that is, the Hub says now. A family that was asked for already is the same one.
    """
    catalog = context.catalog
    with holding(context, f"follow:{family_id}") as held:
        if held is None:
            return "already running"
        family = catalog.following(family_id)
        if family is None:
            return "not wanted"
        try:
            return _follow(context, family, held)
        except LostLease:
            return "lost"


def _follow(context: Context, family: Family, held: Holding) -> str:
    catalog, lease = context.catalog, held.lease
    try:
        request = KeptRequest.model_validate(family.request).anew()
        made, _ = ask(context.settings, catalog, context.producer, request)
    except Exception as error:
        reason, kind = said(error), setback(error, f"family {family.id}")
        if kind is not None:
            log.warning("family %s: %s", family.id, reason)
            limits, told = context.settings.limits, {"kind": kind, "lease": lease}
            patiently(held)(catalog.follow_again, family.id, reason, limits, **told)
            return "again"
        catalog.followed(family.id, by=None, reason=reason, lease=lease)
        return "failed"
    catalog.followed(family.id, by=made, lease=lease)
    return "followed"
