"""Pushing a member to the Hub, straight from byte ranges: it need not be built for that."""

import logging

from boomerang.content import refuse_without_derivatives
from boomerang.errors import BoomerangError, Unusable
from boomerang.service.leases import LostLease
from boomerang.service.records import Fact
from workers.context import Context
from workers.holding import holding
from workers.members import member_files
from workers.settle import close_want, subject

log = logging.getLogger("boomerang.workers")


def publish(
    context: Context,
    family_id: str,
    k: int,
    repo: str,
    *,
    private: bool = True,
    collection: str | None = None,
    force: bool = False,
    want: int | None = None,
) -> str:
    """Push a member to a repo of the Hub; return what was done, in a word.

    A member that did not pass its gates (boomerang.quality.gates) is pushed only with `force`.
    """
    from boomerang import hub

    family = context.catalog.family(family_id)
    member = context.catalog.member(family_id, k)
    with holding(context, subject("publish", member)) as held:
        if held is None:
            return "already running"
        if want is not None and _there(context, family_id, k, repo):
            # A job may arrive twice; without a request it is asked for anew.
            return "already published"
        say = context.catalog.set_fact
        say(family_id, k, "published", Fact.RUNNING, lease=held.lease)
        try:
            refuse_without_derivatives(family.teacher, family.license)
            if member.flags and not force:
                raise Unusable(
                    f"{member.size} did not pass: {' '.join(member.flags)}",
                    value=member.size,
                    fix="Choose another size, or ask for it with force.",
                )
            pushed = hub.publish(
                repo,
                member_files(context, family, member, repo),
                private=private or family.gated or family.private,
                message=f"{member.size} of the family of {family.teacher}",
                collection=collection,
                endpoint=context.settings.hub_endpoint,
            )
            facts = {"repo": repo, "commit": pushed.commit}
            say(family_id, k, "published", Fact.YES, lease=held.lease, **facts)
            result = "published"
        except LostLease:
            return "lost"
        except Exception as error:
            if not isinstance(error, BoomerangError | OSError):
                log.exception("member %s of %s", member.size, family_id)
            say(family_id, k, "published", Fact.FAILED, str(error), lease=held.lease)
            result = "failed"
    close_want(context, family_id, want)
    return result


def _there(context: Context, family_id: str, k: int, repo: str) -> bool:
    member = context.catalog.member(family_id, k)
    return member.published is Fact.YES and member.repo == repo
