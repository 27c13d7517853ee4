"""What is done for a request, whether a program asked for it or a form of the dashboard.

Each takes what the key may do from the request, and raises LacksScope where that is not enough.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from app.context import Context
from app.security.keys import check_may, may
from boomerang.catalog.records.rebuilds import Rebuilt
from boomerang.service.intake import further
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.further import PublishRequest
from boomerang.service.intake.pipeline import ask
from boomerang.service.intake.planned import Plan
from boomerang.service.intake.publishing import settle_publishing
from boomerang.service.jobs import KeyFamily

log = logging.getLogger("boomerang.app")


async def make(
    request: Request, context: Context, body: FamilyRequest, token: str | None
) -> tuple[str, Plan]:
    """Plan a family and have it made: its id, and the plan. Raises what is wrong with the body."""
    if body.publish is not None:
        check_may(request, "publish")

    def made() -> tuple[str, Plan]:
        asked, credential = settle_publishing(context.settings, body, token)
        return ask(context.settings, context.catalog, context.producer, asked, credential)

    return await context.lanes.answered(made)


def cancel(context: Context, id_: str) -> None:
    """Stop the distillation of a family, or the hashing before it. Raises FamilyNotFound."""
    if not context.catalog.give_up(id_):
        context.catalog.cancel(context.catalog.family_id(id_))


def delete(context: Context, id_: str) -> list[str]:
    """Forget a family; the repositories that it leaves on the Hub. Raises FamilyNotFound."""
    catalog = context.catalog
    if catalog.forget_waiting(id_):
        return []
    id_ = catalog.family_id(id_)
    left = [one.repo for one in catalog.publications(id_)]
    context.producer.sweep(catalog.delete_family(id_))
    if left:
        log.info("family %s is forgotten; left on the Hub: %s", id_, ", ".join(left))
    return left


@dataclass(frozen=True, slots=True)
class Begun:
    """A rebuild that was asked for: of which family, after which event, as which number."""

    family: str
    event: int
    rebuild: int | None


def rebuild(request: Request, context: Context, id_: str, *, force: bool) -> Begun:
    """Have a family looked at and mended, or made anew with `force`. Raises FamilyNotFound."""
    catalog = context.catalog
    event = catalog.last_event()
    if hashed_again(context, id_):
        return Begun(id_, event, None)
    id_ = catalog.family_id(id_)
    # A new generation is published wherever the one before it was to be.
    if force and any(one.kind == "publish" for one in catalog.requests(id_)):
        check_may(request, "publish")
    rebuilt: Rebuilt = catalog.rebuild(id_, force=force)
    context.pairs.forget(rebuilt.student.key)
    context.producer.start(rebuilt)
    return Begun(rebuilt.family.id, rebuilt.event, rebuilt.rebuild)


def hashed_again(context: Context, id_: str) -> bool:
    """Whether a family is not hashed yet: there is nothing to look at, nor to make anew."""
    again = context.catalog.hash_again(id_)
    if again:
        context.producer.send(KeyFamily(family=id_))
    return again is not None


def retry(request: Request, context: Context, id_: str) -> str:
    """Begin anew with what of a family failed or was cancelled: its id. Raises FamilyNotFound.

    What was to be published is tried again only where the key may publish.
    """
    if hashed_again(context, id_):
        return id_
    id_ = context.catalog.family_id(id_)
    begun = context.catalog.retry(id_, publishing=may(request, "publish"))
    context.producer.start(begun)
    return id_


def measure(context: Context, id_: str, tasks: Mapping[str, int | None]) -> str:
    """Have a family measured, by more tasks too: its id. Raises as `further.measure`."""
    id_ = further.check_hashed(context.catalog, id_)
    context.producer.start(further.measure(context.catalog, id_, tasks))
    return id_


async def publish(context: Context, id_: str, body: PublishRequest, token: str | None) -> str:
    """Have sizes of a family published: its id.

    Raises FamilyNotFound, NotReady, SizeNotFound, BudgetOutOfRange, and as `settle_publishing`.
    """

    def asked() -> str:
        of = further.check_hashed(context.catalog, id_)
        context.producer.start(further.publish(context.settings, context.catalog, of, body, token))
        return of

    return await context.lanes.answered(asked)
