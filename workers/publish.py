"""Pushing a member to the Hub, straight from byte ranges: it need not be built for that."""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace

from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Family, Member, Publication
from boomerang.catalog.records.states import Fact, LostLease
from boomerang.checkpoint.files import CARD
from boomerang.checkpoint.folders import refuse_without_derivatives
from boomerang.errors import Unusable
from boomerang.hub.publish import Elsewhere
from boomerang.hub.publish import publish as push
from boomerang.hub.rights import Gate
from boomerang.retries import passes
from boomerang.service.credentials import publishing_as
from boomerang.service.intake.publishing import check_publishing
from boomerang.service.jobs import Publish
from workers.context import Context
from workers.leases import End, Holding, Over, holding
from workers.models.members import family_name, made_of, member_files
from workers.outages import failed
from workers.settle import (
    close_request,
    credential_of,
    has_weights,
    is_current,
    is_hidden,
    is_published,
)

log = logging.getLogger("boomerang.workers")

_TELL_SECONDS = 1.0
"""How long an upload may go untold: what is quick tells its beginning and its end."""


def publish(
    context: Context,
    family_id: str,
    k: int,
    repo: str,
    *,
    private: bool = True,
    gated: Gate | None = None,
    collection: str | None = None,
    force: bool = False,
    want: int | None = None,
) -> str:
    """Push a member to a repo of the Hub; return what was done, in a word.

    Without a `collection` it goes into the family's own; an empty one is none. Without `want` what
    is there is published again, and nothing else; who sees it stays as it is. A member that did not
    pass its gates (boomerang.quality.gates) is pushed only with `force`, or where its weights are
    there already and only its card is new.
    """
    family = context.catalog.family(family_id)
    member = context.catalog.member(family_id, k)
    with holding(context, work_of("published", member.digest)) as held:
        if held is None:
            return "already running"
        # Read first: what changes from here on is published once more.
        since = context.catalog.stale(family_id).get(repo)
        member = context.catalog.member(family_id, k)
        family = context.catalog.family(family_id)
        there = is_published(context, family, member, repo, private, gated)
        if want is not None and there:
            # A job may arrive twice.
            return "already published"
        if not (there if want is None else context.catalog.is_open(want)):
            # Without a request it is published again, but not where it is gone meanwhile.
            return "not wanted"
        if family.chosen is None:
            return "not settled"  # its student is another one now, and nobody has measured it
        job = Publish(
            family=family_id, k=k, repo=repo, private=private, gated=gated,
            collection=collection, force=force, want=want,
        )  # fmt: skip
        try:
            result = _publish(context, held, family, member, job, since, there=there)
        except LostLease:
            return "lost"
        except Over:
            if held.end is End.LOST:
                return "lost"
            if not there:
                say = context.catalog.set_fact
                say(family_id, k, "published", Fact.NO, str(held.end), lease=held.lease)
                context.catalog.settle_soon(family_id)
            return "stopped"
        except Exception as error:
            # What was there before is there still, with the card that it had.
            result = failed(context, member, "published", error, held)
            if there and result == "failed" and since is not None:
                context.catalog.not_stale(repo, since, member.digest)
    close_request(context, family_id, want)
    return result


def _publish(
    context: Context, held: Holding, family: Family, member: Member, job: Publish,
    since: float | None, *, there: bool,
) -> str:  # fmt: skip
    """Push what is not there as it would be pushed now, and write down what is there then."""
    catalog, say = context.catalog, context.catalog.set_fact
    before = catalog.publication(job.repo) if there else None
    if before is not None and is_current(context, family, member, before):
        if since is not None:
            catalog.not_stale(job.repo, since, lease=held.lease)
        return "already published"
    if not there:
        say(family.id, member.k, "published", Fact.RUNNING, lease=held.lease)
    catalog.claim_repo(job.repo, family.id, lease=held.lease)
    refuse_without_derivatives(family.teacher, family.license)
    source = made_of(context, family)
    if member.flags and not job.force and not (before and has_weights(before, source)):
        raise Unusable(
            f"{member.size} did not pass: {' '.join(member.flags)}",
            value=member.size,
            fix="Choose another size, or ask for it with force.",
        )
    # Of the same bytes its weights are known, and need not be read.
    known = before.files if before is not None and before.made_of == source else None
    done = _push(context, held, family, member, job, known)
    made = replace(done, made_of=source)
    catalog.set_publication(made, since, lease=held.lease)
    facts = {"repo": job.repo, "commit": made.commit}
    say(family.id, member.k, "published", Fact.YES, lease=held.lease, **facts)
    return "published"


def _push(
    context: Context, held: Holding, family: Family, member: Member, job: Publish,
    known: Mapping[str, str] | None,
) -> Publication:  # fmt: skip
    """Have the Hub hold a member, as whoever asked for it; what is there now."""
    files = member_files(context, family, member, job.repo)
    hidden = is_hidden(family, job.private, job.gated)
    # By hand its owner may have opened or closed it since it was asked for.
    decided = job.want is not None or is_hidden(family, private=False, gated=job.gated)
    own = family_name(context, family) if job.collection is None else job.collection
    credential = credential_of(context, family, job.want, job.repo)
    with publishing_as(context.settings, context.catalog, credential):
        check_publishing(context.settings, job.repo.split("/")[0])
        pushed = push(
            job.repo,
            files,
            private=hidden if decided else None,
            gated=job.gated,
            message=f"{member.size} of the family of {family.teacher}",
            collection=own,
            known=known,
            elsewhere=_elsewhere(context, family, job.repo),
            progress=Sent(context, held, member, job.repo),
            endpoint=context.settings.hub_endpoint,
        )
    return Publication(
        repo=job.repo,
        family=family.id,
        private=hidden,
        card=files[CARD].sha256(),
        gated=job.gated,
        credential=credential,
        commit=pushed.commit,
        files=dict(pushed.files),
    )


def keep_xet(context: Context) -> None:
    """Have xet remember below the service's home what it sent: it is sent once, by any worker."""
    os.environ.setdefault("HF_XET_CACHE", str(context.settings.home / "xet"))


def _elsewhere(context: Context, family: Family, repo: str) -> tuple[Elsewhere, ...]:
    """What was published of the family in the same namespace, which may have the same files.

    What others have is theirs, and not for this token to ask about.
    """
    owner = repo.split("/")[0] + "/"
    return tuple(
        Elsewhere(one.repo, one.commit, one.files)
        for one in context.catalog.publications(family.id)
        if one.commit and one.files and one.repo.startswith(owner)
    )


class Sent:
    """Tells the catalog how much of a member is on the Hub, and ends what must end.

    Of a long upload less often: in all no more than some hundred times.
    """

    def __init__(self, context: Context, held: Holding, member: Member, repo: str) -> None:
        self._catalog, self._held, self._member, self._repo = context.catalog, held, member, repo
        self._started, self._last, self._told = time.monotonic(), 0.0, -1

    def __call__(self, done: int, total: int) -> None:
        """So much of so much. Raises Over, LostLease, or NotFound where nobody wants it."""
        self._held.check()
        now = time.monotonic()
        wait = max(_TELL_SECONDS, (now - self._started) / 300)
        if done == self._told or (now - self._last < wait and done < total):
            return
        self._last, self._told = now, done
        member, lease = self._member, self._held.lease
        try:
            self._catalog.member_sent(member.family, member.k, self._repo, done, total, lease=lease)
        except Exception as error:
            if not passes(error):
                raise
            log.warning("how much of %s is sent was not written: %s", self._repo, error)
