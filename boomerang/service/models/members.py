"""The members of a family: as the catalog keeps them, and as files."""

from collections.abc import Sequence
from typing import Any

from boomerang.assembly import record as made
from boomerang.assembly import stitch
from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.records.families import Family, Member, NewMember
from boomerang.catalog.records.students import Origin, Student
from boomerang.family.composition import composition_of, last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.order_forms import named_order
from boomerang.family.pair import Pair
from boomerang.service.settings import Settings


def ladder_members(
    pair: Pair, patch_order: Sequence[int] | Sequence[str], commit: str, key: str
) -> tuple[NewMember, ...]:
    """The members of a family as the catalog keeps them, for one patch order."""
    return records_of(Ladder.of(pair, patch_order), commit, key)


def ladder_of(pair: Pair, order: str) -> Ladder:
    """The ladder of a pair before its order is found: that of `last`, where only measuring can.

    Raises BadComposition.
    """
    layermap = pair.layermap
    return Ladder.of(pair, named_order(layermap, order) or last_to_first(layermap))


def records_of(ladder: Ladder, commit: str, key: str) -> tuple[NewMember, ...]:
    """A ladder's members as the catalog keeps them, of a teacher's commit and a student's key."""
    return tuple(
        NewMember(
            k=member.k,
            size=member.size,
            code=member.composition.code,
            digest=member.composition.digest(commit, key),
            parameters=member.parameters,
            bytes=member.bytes,
            layers=member.layers,
        )
        for member in ladder.members
    )


def member_files(
    settings: Settings, pair: Pair, member: Member, *, record: dict[str, Any],
    card: str | None = None,
) -> dict[str, ByteFile]:  # fmt: skip
    """Every file of a member, by name."""
    composition, shard = composition_of(pair.layermap, member.code), settings.shard_size
    return stitch.member_files(pair, composition, record=record, card=card, shard_bytes=shard)


def member_record(family: Family, student: Student, member: Member) -> dict[str, Any]:
    """What a member's boomerang.json says of the models that it is made of."""
    repo, commit = student.hub_repo, student.hub_commit
    if student.origin is not Origin.DISTILLED:
        repo = student.location if student.origin is Origin.HUB else None
        commit = student.revision_commit
    teacher = made.Origin(
        name=family.teacher,
        repo=family.teacher if family.source is None else None,
        commit=family.commit,
    )
    kept = made.Origin(
        name=repo, repo=repo, commit=commit, key=student.key, files=student.files or None
    )
    return made.made_of(teacher, kept, size=member.size, order=family.chosen, k=member.k)


def former_record(family: Family, order: str | None, k: int, size: str) -> dict[str, Any]:
    """The same as it was said before records had a format: at commits that were told since."""
    return {
        "teacher": family.teacher,
        "teacher_commit": family.commit,
        "student": family.student,
        "order": order,
        "k": k,
        "size": size,
    }
