"""A published member as its repository on the Hub shows it, and what is done where it is another.

What lacks is pushed again where that is still asked for. What somebody has taken down (removed, or
made private) is not brought back: its publication has failed, and who asks for it has it again.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Family, Member, Publication, Request
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact
from boomerang.catalog.stores.requests import resolve
from boomerang.errors import BoomerangError, HubFailure, TeacherNotFound
from boomerang.hub.publishing import listing
from boomerang.service.credentials import publishing_as
from workers import publish
from workers.context import Context
from workers.leases import Holding, holding
from workers.settle import repo_of

log = logging.getLogger("boomerang.workers")

_ASK = "ask for its publication again where it is wanted"
_READ_BYTES = 1 << 25
"""Files that are no larger may stand in a tree without their sha256."""


class NotNow(Exception):
    """Something must be looked at later: somebody works on it, or for a `reason` it is away."""

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or "somebody works on it")
        self.reason = reason


def repository(
    context: Context,
    held: Holding,
    family: Family,
    member: Member,
    files: Mapping[str, ByteFile],
    before: Item | None,
    keep: Callable[[Item], None],
) -> Item | None:
    """Look at the repository of a member, and mend it; None where there is none to be looked at.

    `files` are those it would have now, none where they cannot be told; `before` is what was found
    of it and is still to be mended. What is broken is told to `keep` before anything is done.
    Raises NotNow, and whatever keeps the Hub from being asked.
    """
    if context.catalog.member_waits(member, "published"):
        raise NotNow
    name = str(member.repo)
    with holding(context, work_of("published", member.digest)) as own:
        # Else whoever publishes it just now would bring back what somebody has taken down.
        if own is None:
            raise NotNow
        member = context.catalog.member(family.id, member.k)
        if member.published is not Fact.YES or member.repo != name:
            return before and replace(before, reason=member.published_reason or _ASK)
        there = context.catalog.publication(name)
        with publishing_as(context.settings, context.catalog, _as_whom(context, there)):
            item = _look(context, family, member, there, files, before, own)
        if item.state != "broken" or item.reason is not None:
            return item
        keep(item)
        asked = _asked(context, family, member)
        if not asked:
            reason = f"nobody asks for it any more; {_ASK}"
            _gone(context, member, f"{item.found}; {reason}", own)
            return replace(item, reason=reason)
        if not files:
            return replace(item, reason="what it is made of is not whole")
        context.catalog.repository_lacks(name, lease=own.lease)
    held.check()
    return _push(context, held, family, member, files, item, asked)


def _look(
    context: Context,
    family: Family,
    member: Member,
    there: Publication | None,
    files: Mapping[str, ByteFile],
    before: Item | None,
    own: Holding,
) -> Item:
    """What a repository is: broken without a reason where something is to be pushed again."""
    name, commit, endpoint = str(member.repo), str(member.commit), context.settings.hub_endpoint
    item = Item(kind="repository", name=name, state="whole", found=before.found if before else None)
    if item.found is not None:
        item = replace(item, state="mended", reason="pushed again")
    try:
        now = listing.look(name, endpoint=endpoint)
        then = now if now.commit == commit else listing.look(name, commit, endpoint=endpoint)
    except TeacherNotFound as error:
        _gone(context, member, error.detail, own)
        return replace(item, state="broken", found=error.detail, reason=_ASK)
    if there is not None and (seen := _seen_by_others(there, now)) is not None:
        log.warning("%s: %s", name, seen)
        item = replace(item, state="mended", found=seen, reason="made private")
        try:
            if not now.private:
                listing.make_private(name, endpoint=endpoint)
        except HubFailure as error:
            if error.transient:
                raise
            return replace(item, state="broken", reason=str(error))
        if not there.private:
            # As it was asked for nobody but who asks again may have it.
            _gone(context, member, seen, own)
            return replace(item, state="broken", reason=f"it is private now; {_ASK}")
    moved = "" if now.commit == commit else f"its head moved to {now.commit}, which is none of ours"
    known = there.files if there is not None else None
    content = lambda file: _content(files, known, file)  # noqa: E731
    differs = listing.differences(now.entries, then.entries, known, content)
    if differs.lost or differs.changed:
        log.warning("%s: %s", name, differs)
        seen = item.found if item.reason == "made private" else None
        found = "; ".join(part for part in (seen, str(differs), moved) if part)
        return replace(item, state="broken", found=found, reason=None)
    if differs.unknown:
        reason = f"{', '.join(differs.unknown)} cannot be told from another"
        return replace(item, state="unseen", reason=reason)
    if moved and item.state == "whole":
        return replace(item, reason=f"{moved}; its files are those that were published")
    return item


def _seen_by_others(there: Publication, now: listing.Listing) -> str | None:
    """What is wrong with who sees a repository, if anything."""
    if there.private:
        return None if now.private else "it was public, and was to be private"
    if now.private:
        return "it was made private, and was to be public"
    return "its gate was taken away" if there.gated and now.open else None


def _as_whom(context: Context, there: Publication | None) -> str | None:
    """The requester's token that published a repository, as long as it is kept."""
    name = None if there is None else there.credential
    return None if name is None or context.catalog.credential(name) is None else name


def _content(
    files: Mapping[str, ByteFile], known: Mapping[str, str] | None, name: str
) -> bytes | None:
    """The content that a file was published with, where it is still the same."""
    file = files.get(name)
    if file is None or file.size > _READ_BYTES:
        return None
    content = file.read()
    same = known is not None and hashlib.sha256(content).hexdigest() == known.get(name)
    return content if same else None


def _push(
    context: Context,
    held: Holding,
    family: Family,
    member: Member,
    files: Mapping[str, ByteFile],
    item: Item,
    asked: list[Request],
) -> Item:
    """Push again what lacks, and look once more."""
    name = str(member.repo)
    there = context.catalog.publication(name)
    result = publish.publish(
        context,
        family.id,
        member.k,
        name,
        private=there is None or there.private,
        gated=there.gated if there else None,
        collection=asked[-1].options.get("collection"),
        force=any(one.options.get("force") for one in asked),
    )
    member = context.catalog.member(family.id, member.k)
    if result == "again":
        raise NotNow(str(member.published_reason))
    if result in ("already running", "lost", "stopped"):
        raise NotNow
    if member.published is not Fact.YES or result not in ("published", "already published"):
        return replace(item, reason=member.published_reason or result)
    with holding(context, work_of("published", member.digest)) as own:
        if own is None:
            raise NotNow
        there = context.catalog.publication(name)
        with publishing_as(context.settings, context.catalog, _as_whom(context, there)):
            again = _look(context, family, member, there, files, item, own)
    if again.state == "broken" and again.reason is None:
        return replace(again, reason="it was pushed again, and is still another")
    return again


def _gone(context: Context, member: Member, reason: str, own: Holding) -> None:
    gone = context.catalog.member_gone
    gone(member.family, member.k, "published", reason, lease=own.lease)


def _asked(context: Context, family: Family, member: Member) -> list[Request]:
    """The requests that have a member published where it is, and were not given up."""
    found = []
    for request in context.catalog.requests(family.id):
        if request.kind != "publish" or request.state is Fact.FAILED:
            continue
        try:
            meant = resolve(context.catalog.members(family.id), request.what)
        except BoomerangError:
            continue  # the ladder is another one now
        here = repo_of(context, family, member, request) == member.repo
        if here and any(one.k == member.k for one in meant):
            found.append(request)
    return found
