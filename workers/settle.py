"""From what was asked of a family to the jobs that do it, and back to whether it is done."""

import logging
from contextlib import suppress

from boomerang.catalog.records.families import Family, Member, Publication, Request
from boomerang.catalog.records.states import Fact, LostLease
from boomerang.catalog.stores.requests import FACT_OF, resolve
from boomerang.catalog.transitions import IllegalTransition
from boomerang.errors import BoomerangError
from boomerang.service.credentials import GONE
from boomerang.service.jobs import Assemble, Message, Publish
from workers.context import Context
from workers.leases import holding
from workers.models.members import card_now, family_name, made_of
from workers.outages import patiently, said, setback

log = logging.getLogger("boomerang.workers")


def settle(context: Context, family_id: str) -> str:
    """Send the jobs of every open request of a family; return how many were sent."""
    with holding(context, f"settle:{family_id}") as held:
        if held is None:
            # It may have read the requests before the one that this is about was there.
            context.catalog.settle_soon(family_id)
            return "already running"
        try:
            sent = _settle_all(context, family_id)
        except Exception as error:
            kind = setback(error, f"what was asked of {family_id}")
            again = None if kind is None else (kind, context.settings.limits)
            with suppress(LostLease):
                say = patiently(held)
                say(context.catalog.settle_again, family_id, said(error), again, lease=held.lease)
            return "failed" if kind is None else "again"
        with suppress(LostLease):
            context.catalog.settle_done(family_id, lease=held.lease)
        return "not settled" if sent is None else f"{sent} sent"


def _settle_all(context: Context, family_id: str) -> int | None:
    """Send what is asked of a family now; None where it has no order yet."""
    family, sent = context.catalog.family(family_id), 0
    if family.chosen is None:
        return None
    for request in context.catalog.requests(family_id):
        if request.state in (Fact.NO, Fact.RUNNING):
            sent += _settle(context, family, request)
    return sent + refresh(context, family)


def _settle(context: Context, family: Family, request: Request) -> int:
    """Send the jobs of an open request; return how many."""
    try:
        asked = resolve(context.catalog.members(family.id), request.what)
        if request.state is Fact.NO:
            context.catalog.open_request(request, asked)
    except IllegalTransition:
        return 0  # somebody else did, or it was given up
    except BoomerangError as error:
        context.catalog.set_request(request.id, Fact.FAILED, str(error))
        return 0
    close_request(context, family.id, request.id)
    sent = 0
    for member in _pending(context, family, request):
        if not context.catalog.member_waits(member, FACT_OF[request.kind]):
            sent += context.producer.send(_job(context, family, member, request))
    return sent


def _pending(context: Context, family: Family, request: Request) -> list[Member]:
    """The members of a request that are neither what it asks for nor failed at that."""
    asked = resolve(context.catalog.members(family.id), request.what)
    return [
        member
        for member in asked
        if not done(context, family, member, request)
        and getattr(member, FACT_OF[request.kind]) is not Fact.FAILED
    ]


def refresh(context: Context, family: Family) -> int:
    """Publish again what says something new: a figure, where the other sizes are, other weights.

    Not before they are measured: what does not pass is not published.
    """
    catalog, sent = context.catalog, 0
    asked = [request for request in catalog.requests(family.id) if request.kind == "publish"]
    if family.chosen is None or not family.settled or family.cancel:
        return sent
    if any(request.state in (Fact.NO, Fact.RUNNING) for request in asked):
        # Where the sizes are is not known before all of them are somewhere.
        return sent
    stale = catalog.stale(family.id)
    for member in catalog.members(family.id):
        if member.published is not Fact.YES or member.repo not in stale:
            continue
        there, since = catalog.publication(member.repo), stale[member.repo]
        if catalog.member_waits(member, "published"):
            continue
        try:
            if there is None or is_current(context, family, member, there):
                catalog.not_stale(member.repo, since)
                continue
            if there.credential is not None and catalog.credential(there.credential) is None:
                catalog.left_as_it_is(member, since, " ".join(GONE))
                continue
        except (BoomerangError, OSError) as error:
            log.warning("the card of %s cannot be looked at: %s", member.repo, error)
            continue
        forced = any(
            request.options.get("force")
            and repo_of(context, family, member, request) == member.repo
            for request in asked
        )
        again = Publish(family=family.id, k=member.k, repo=member.repo, private=there.private,
                        gated=there.gated, collection="", force=forced)  # fmt: skip
        sent += context.producer.send(again)
    return sent


def is_current(context: Context, family: Family, member: Member, there: Publication) -> bool:
    """Whether what is published would be published as it is. Raises as `card_now`."""
    same = has_weights(there, made_of(context, family))
    return same and there.card == card_now(context, family, member, there.repo)


def has_weights(there: Publication, source: str) -> bool:
    """Whether what is published was made of a student's bytes, as far as anybody knows."""
    return there.made_of is None or there.made_of == source


def repo_of(context: Context, family: Family, member: Member, request: Request) -> str:
    """The Hub repo that a request publishes a member to."""
    namespace = request.options.get("namespace") or context.settings.namespace
    name = family_name(context, family)
    return str(request.options.get("repo") or f"{namespace}/{name}-{member.size}")


def done(context: Context, family: Family, member: Member, request: Request) -> bool:
    """Whether a member is what a request asks for."""
    if request.kind == "build":
        return member.built is Fact.YES
    repo, options = repo_of(context, family, member, request), request.options
    private, gated = bool(options.get("private", True)), options.get("gated")
    return is_published(context, family, member, repo, private, gated)


def is_published(
    context: Context, family: Family, member: Member, repo: str, private: bool,
    gated: str | None = None,
) -> bool:  # fmt: skip
    """Whether a member is in a repo, for those who were to see it.

    It may be in several: what requesters publish as themselves goes into namespaces of their own.
    """
    there = context.catalog.publication(repo)
    if member.published is not Fact.YES or there is None:
        return member.published is Fact.YES and member.repo == repo
    seen = (there.private, there.gated)
    return there.family == family.id and seen == (is_hidden(family, private, gated), gated)


def is_hidden(family: Family, private: bool, gated: str | None) -> bool:
    """Whether only the repository's owners may see a member.

    Behind a gate of its own a gated teacher's is seen by all; a private teacher's never is.
    """
    return private or family.private or (family.gated and gated is None)


def credential_of(context: Context, family: Family, want: int | None, repo: str) -> str | None:
    """The requester's token that a job publishes with, by its id: its request's, or the repo's."""
    if want is None:
        there = context.catalog.publication(repo)
        return None if there is None else there.credential
    for request in context.catalog.requests(family.id):
        if request.id == want:
            return request.options.get("credential")
    return None


def _job(context: Context, family: Family, member: Member, request: Request) -> Message:
    if request.kind == "build":
        return Assemble(family=family.id, k=member.k, want=request.id)
    return Publish(
        family=family.id,
        k=member.k,
        repo=repo_of(context, family, member, request),
        private=bool(request.options.get("private", True)),
        gated=request.options.get("gated"),
        collection=request.options.get("collection"),
        force=bool(request.options.get("force", False)),
        want=request.id,
    )


def close_request(context: Context, family_id: str, request_id: int | None) -> None:
    """Close a request once each of its members is done, or has failed since it was asked for."""
    if request_id is None:
        return
    request = next((w for w in context.catalog.requests(family_id) if w.id == request_id), None)
    if request is None or request.state is not Fact.RUNNING:
        return
    family, fact = context.catalog.family(family_id), FACT_OF[request.kind]
    if _pending(context, family, request):
        return
    asked = resolve(context.catalog.members(family_id), request.what)
    failed = [m for m in asked if getattr(m, fact) is Fact.FAILED]
    state, reason = Fact.YES, None
    if failed:
        state, reason = Fact.FAILED, f"{failed[0].size}: {getattr(failed[0], f'{fact}_reason')}"
    # Refused where another job of the request has closed it meanwhile.
    with suppress(IllegalTransition):
        context.catalog.set_request(request.id, state, reason)
    if request.kind == "publish":
        refresh(context, family)
        if any(one.state in (Fact.NO, Fact.RUNNING) for one in context.catalog.requests(family_id)):
            # Of one member one is published at a time: those that had to wait need not wait longer.
            context.catalog.settle_soon(family_id)
