"""The members of a family: as the catalog keeps them, as files, and their cards."""

from collections.abc import Iterator, Sequence
from typing import Any

from boomerang.assembly import stitch
from boomerang.assembly.bytefile import ByteFile
from boomerang.card.card import card
from boomerang.card.facts import MEASURED, Facts, Size, Task
from boomerang.catalog.records.families import Family, Member, NewMember
from boomerang.catalog.records.states import Fact
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.family.composition import composition_of, last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.order_forms import named_order
from boomerang.family.pair import Pair
from boomerang.recipes.healing import HEAL, without_heal
from boomerang.service.settings import Settings
from boomerang.texts.texts import locations


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
    settings: Settings, pair: Pair, family: Family, member: Member, *, card: str | None = None
) -> dict[str, ByteFile]:
    """Every file of a member, by name."""
    composition = composition_of(pair.layermap, member.code)
    record: dict[str, Any] = {
        "teacher": family.teacher,
        "teacher_commit": family.commit,
        "student": family.student,
        "order": family.chosen,
        "k": member.k,
        "size": member.size,
    }
    shard = settings.shard_size
    return stitch.member_files(pair, composition, record=record, card=card, shard_bytes=shard)


def card_text(
    pair: Pair,
    family: Family,
    student: Student,
    members: Sequence[Member],
    member: Member,
    repo_id: str,
) -> str:
    """README.md of `member` as it is called `repo_id`; `members` is the whole ladder."""
    sizes = tuple(_size(one) for one in sorted(members, key=lambda m: (m.parameters, m.k)))
    dtype = pair.teacher.head_tensor.dtype
    names = [one.rsplit("/", 1)[-1] for one in locations(student.data or "")]
    return card(
        Facts(
            repo_id=repo_id,
            size=_size(member),
            composition=composition_of(pair.layermap, member.code),
            teacher=family.teacher if family.source is None else family.name,
            teacher_commit=family.commit,
            order=family.chosen or family.order,
            dtype=FLOAT_NAMES.get(dtype, dtype),
            student=family.published_repo,
            license=family.license,
            sizes=sizes,
            masked=pair.teacher.architecture.masked,
            recipe=_recipe_of(student),
            healed=student.recipe[HEAL]["size"] if HEAL in student.recipe else None,
            tasks=tuple(_figures(member)),
            text=" and ".join(names) or None,
        )
    )


def _recipe_of(student: Student) -> dict[str, object]:
    fields = without_heal(student.recipe)
    return {**fields, "name": student.recipe_name} if fields else {}


def _figures(member: Member) -> Iterator[Task]:
    """The figures of a member's tasks; one that failed has none."""
    for result in (member.tasks or {}).values():
        for one in result["metrics"]:
            limited = result["limit"] is not None
            yield Task(**one, harness=result["harness"], limited=limited)


def _size(member: Member) -> Size:
    figures: dict[str, Any] = {}
    if member.measured is Fact.YES:
        # Figures of a part of the text are for who looks on, not for what travels.
        figures = {name: getattr(member, name) for name in MEASURED}
        figures["stopped"] = (member.generation or {}).get("stopped")
        figures["flags"] = tuple(member.flags or ())
    return Size(member.size, member.parameters, member.layers, repo_id=member.repo, **figures)
