"""Pushing a member to the Hub, straight from byte ranges: it need not be built for that."""

import shutil

from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, LostLease
from boomerang.checkpoint.files import CARD
from boomerang.checkpoint.folders import refuse_without_derivatives
from boomerang.errors import Unusable
from boomerang.hub.publish import publish as push
from boomerang.hub.rights import Gate
from boomerang.service.credentials import publishing_as
from boomerang.service.intake.publishing import check_publishing
from workers.context import Context
from workers.leases import holding
from workers.models.members import made_of, member_files
from workers.outages import failed
from workers.settle import (
    close_request,
    credential_of,
    has_weights,
    is_current,
    is_hidden,
    is_published,
)


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

    Without `want` what is there is published again, and nothing else. A member that did not pass
    its gates (boomerang.quality.gates) is pushed only with `force`, or where its weights are there
    already and only its card is new.
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
        say = context.catalog.set_fact
        scratch = context.settings.scratch_folder(f"publish-{member.digest}")
        # Whoever holds the lease is the only publisher: what lies here is from one that died.
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            before = context.catalog.publication(repo) if there else None
            if before is not None and is_current(context, family, member, before):
                if since is not None:
                    context.catalog.not_stale(repo, since, lease=held.lease)
                return "already published"
            if not there:
                say(family_id, k, "published", Fact.RUNNING, lease=held.lease)
            context.catalog.claim_repo(repo, family_id, lease=held.lease)
            refuse_without_derivatives(family.teacher, family.license)
            source = made_of(context, family)
            kept = before is not None and has_weights(before, source)
            if member.flags and not force and not kept:
                raise Unusable(
                    f"{member.size} did not pass: {' '.join(member.flags)}",
                    value=member.size,
                    fix="Choose another size, or ask for it with force.",
                )
            scratch.mkdir(parents=True)
            files = member_files(context, family, member, repo)
            hidden = is_hidden(family, private, gated)
            credential = credential_of(context, family, want, repo)
            with publishing_as(context.settings, context.catalog, credential):
                check_publishing(context.settings, repo.split("/")[0])
                pushed = push(
                    repo,
                    files,
                    private=hidden,
                    gated=gated,
                    message=f"{member.size} of the family of {family.teacher}",
                    collection=collection,
                    scratch=scratch,
                    endpoint=context.settings.hub_endpoint,
                )
            card = files[CARD].sha256()
            context.catalog.set_publication(
                Publication(
                    repo=repo,
                    family=family_id,
                    private=hidden,
                    card=card,
                    made_of=source,
                    gated=gated,
                    credential=credential,
                ),
                since,
                lease=held.lease,
            )
            facts = {"repo": repo, "commit": pushed.commit}
            say(family_id, k, "published", Fact.YES, lease=held.lease, **facts)
            result = "published"
        except LostLease:
            return "lost"
        except Exception as error:
            # What was there before is there still, with the card that it had.
            result = failed(context, member, "published", error, held)
            if there and result == "failed" and since is not None:
                context.catalog.not_stale(repo, since, member.digest)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    close_request(context, family_id, want)
    return result
