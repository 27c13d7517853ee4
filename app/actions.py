"""What is done for a request, whether a program asked for it or a form of the dashboard.

Each takes what the key may do from the request, and raises LacksScope where that is not enough.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from app.context import Context
from app.security.allowances.allowed import allowance_of
from app.security.audit import tell
from app.security.keys import acting, check_may, may, who
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
    """Plan a family and have it made: its id, and the plan.

    Raises what is wrong with the body, and QuotaSpent for a key that asked for enough today.
    """
    if body.publish is not None:
        check_may(request, "publish")

    owner, most = who(request).id, allowance_of(request).families_per_day

    def made() -> tuple[str, Plan]:
        asked, credential = settle_publishing(context.settings, body, token)
        sent = context.settings, context.catalog, context.producer
        return ask(*sent, asked, credential, owner, most)

    return await context.lanes.answered(made)


def cancel(request: Request, context: Context, id_: str) -> bool:
    """Stop the distillation of a family, or the hashing before it; whether that was done.

    It goes on where others own it. Raises FamilyNotFound, NotYours.
    """
    catalog, by = context.catalog, acting(request)
    done = catalog.give_up(id_, by)
    if done is None:
        done = catalog.cancel(catalog.family_id(id_), by) is not None
    tell(request, ended=done)
    return done


def delete(request: Request, context: Context, id_: str) -> list[str] | None:
    """Forget a family; the repositories that it leaves on the Hub.

    None where it stays, as others own it. Raises FamilyNotFound, NotYours.
    """
    catalog, by = context.catalog, acting(request)
    done = catalog.forget_waiting(id_, by)
    if done is not None:
        tell(request, ended=done)
        return [] if done else None
    id_ = catalog.family_id(id_)
    left = [one.repo for one in catalog.publications(id_)]
    swept = catalog.delete_family(id_, by)
    tell(request, ended=swept is not None)
    if swept is None:
        return None
    context.producer.sweep(swept)
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
    """Have a family looked at and mended, or made anew with `force`.

    Raises FamilyNotFound, NotYours.
    """
    catalog, by = context.catalog, acting(request)
    event = catalog.last_event()
    tell(request, force=force)
    if hashed_again(context, id_, by):
        return Begun(id_, event, None)
    id_ = catalog.family_id(id_)
    # A new generation is published wherever the one before it was to be.
    if force and any(one.kind == "publish" for one in catalog.requests(id_)):
        check_may(request, "publish")
    rebuilt: Rebuilt = catalog.rebuild(id_, force=force, by=by)
    context.pairs.forget(rebuilt.student.key)
    context.producer.start(rebuilt)
    return Begun(rebuilt.family.id, rebuilt.event, rebuilt.rebuild)


def rebuild_all(request: Request, context: Context) -> tuple[tuple[Rebuilt, ...], list[str]]:
    """Have every family of a key looked at and mended; of who acts for all, every one.

    Those that are not hashed yet are hashed: these are by id.
    """
    catalog, by = context.catalog, acting(request)
    mine = catalog.owners() if by is not None else {}
    waiting = [
        one.id
        for one in catalog.all_waiting()
        if by is None or by in {owner.id for owner in mine.get(one.id, ())}
    ]
    hashed = [id_ for id_ in waiting if hashed_again(context, id_, by)]
    every = catalog.rebuild_all(by)
    for one in {rebuilt.student.key: rebuilt for rebuilt in every}.values():
        context.pairs.forget(one.student.key)
        context.producer.start(one)
    return every, hashed


def hashed_again(context: Context, id_: str, by: str | None) -> bool:
    """Whether a family is not hashed yet: there is nothing to look at, nor to make anew.

    Raises NotYours.
    """
    again = context.catalog.hash_again(id_, by)
    if again:
        context.producer.send(KeyFamily(family=id_))
    return again is not None


def retry(request: Request, context: Context, id_: str) -> str:
    """Begin anew with what of a family failed or was cancelled: its id. Raises FamilyNotFound.

    What was to be published is tried again only where the key may publish. Raises NotYours.
    """
    by = acting(request)
    if hashed_again(context, id_, by):
        return id_
    id_ = context.catalog.family_id(id_)
    begun = context.catalog.retry(id_, publishing=may(request, "publish"), by=by)
    context.producer.start(begun)
    return id_


def measure(request: Request, context: Context, id_: str, tasks: Mapping[str, int | None]) -> str:
    """Have a family measured, by more tasks too: its id. Raises as `further.measure`."""
    id_ = further.check_hashed(context.catalog, id_)
    context.producer.start(further.measure(context.catalog, id_, tasks, who(request).id))
    return id_


async def publish(
    request: Request, context: Context, id_: str, body: PublishRequest, token: str | None
) -> str:
    """Have sizes of a family published: its id.

    Raises FamilyNotFound, NotReady, SizeNotFound, BudgetOutOfRange, and as `settle_publishing`.
    """
    owner = who(request).id

    def asked() -> str:
        of = further.check_hashed(context.catalog, id_)
        begun = further.publish(context.settings, context.catalog, of, body, token, owner)
        context.producer.start(begun)
        return of

    return await context.lanes.answered(asked)
