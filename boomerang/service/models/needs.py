"""What running the members of a family in the catalog takes of memory."""

from collections.abc import Iterable

from boomerang.catalog.records.families import Family, NewMember
from boomerang.catalog.records.students import Student
from boomerang.family.composition import composition_of
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import CONTEXT, Memory, Need, RuntimeName, cached_as, item_bytes


def needs_of(
    family: Family, student: Student, members: Iterable[NewMember], context: int = CONTEXT, *,
    dtype: str | None = None, runtime: RuntimeName = "transformers",
) -> tuple[Need, ...]:  # fmt: skip
    """What each member takes at a context; its weights as they are stored, or in `dtype`.

    Of a family that was planned before its teacher's shape was kept these are the weights alone
    (`family.shape` is None then). Raises BadRequest for a dtype of no such name.
    """
    memory, layermap = Memory.parse(family.shape), LayerMap(student.kept, student.layers)
    found = []
    for member in members:
        weights = member.bytes if dtype is None else member.parameters * item_bytes(dtype)
        if memory is None:
            found.append(Need(weights, 0, 0))
            continue
        layers = [one.teacher_index for one in composition_of(layermap, member.code).layers]
        kept = cached_as(dtype or "bfloat16")
        found.append(memory.needs(weights, layers, context, dtype=kept, runtime=runtime))
    return tuple(found)
