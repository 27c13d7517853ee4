"""The files of a member as the workers build and publish them, verified before either."""

import hashlib

from boomerang.assembly.bytefile import ByteFile
from boomerang.card.card import card
from boomerang.card.facts import Facts
from boomerang.catalog.records.families import Family, Member, repo_id
from boomerang.checkpoint.folders import commit_of
from boomerang.family.composition import composition_of
from boomerang.service.models import pairs
from boomerang.service.models.cards import member_facts
from boomerang.service.models.members import member_files as unverified_files
from boomerang.service.models.members import member_record
from workers.context import Context
from workers.models.plans import require


def member_files(
    context: Context, family: Family, member: Member, repo: str | None = None
) -> dict[str, ByteFile]:
    """Every file of a member, by name, once its plan is known to be right.

    `repo` is where it is published, with pictures beside its card; by default the card calls it by
    the name under which the service serves it.
    Raises NotReady, SourceChanged, CorruptCheckpoint, Interrupted where another worker must first
    check the plan, and whatever the sources raise.
    """
    student = context.catalog.student(family.student)
    pair = pairs.open_pair(context.settings, context.catalog, student, unchanged=True)
    require(context, family.id, pair, composition_of(pair.layermap, member.code))
    name = repo or repo_id(family_name(context, family), member)
    members = context.catalog.members(family.id)
    facts = member_facts(pair, family, student, members, member, name, pictures=repo is not None)
    record = member_record(family, student, member)
    files = unverified_files(context.settings, pair, member, record=record, card=card(facts))
    return files | (_pictures(facts) if repo is not None else {})


def card_now(context: Context, family: Family, member: Member, repo: str) -> str:
    """The sha256 of a member's card as it would be written now. Raises as `member_files`."""
    student = context.catalog.student(family.student)
    pair = pairs.open_pair(context.settings, context.catalog, student, verify=False)
    members = context.catalog.members(family.id)
    facts = member_facts(pair, family, student, members, member, repo, pictures=True)
    return hashlib.sha256(card(facts).encode()).hexdigest()


def _pictures(facts: Facts) -> dict[str, ByteFile]:
    """The pictures of a published card, by name."""
    from boomerang.card.pictures import pictures  # noqa: PLC0415 - loads what draws

    return {name: ByteFile.literal(data) for name, data in pictures(facts).items()}


def made_of(context: Context, family: Family) -> str:
    """What stands for the bytes of a family's student: one that is made again may have others.

    Raises as `member_files`.
    """
    student = context.catalog.student(family.student)
    checkpoint = pairs.student_checkpoint(context.settings, student)
    if pairs.is_remote(checkpoint):
        # One of ours is the same in its folder and on the Hub.
        return student.revision_commit or commit_of((student.files or {}).items())
    return pairs.folder_commit(context.catalog, checkpoint)


def family_name(context: Context, family: Family) -> str:
    """What the family is called in the names of repositories."""
    return context.catalog.names().get(family.id, family.name)
