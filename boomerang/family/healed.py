"""A member as a student of its own: what healing makes of it, from headers alone.

Each layer of a member stands for a layer of the teacher, in increasing order from layer 0 on: so a
member is a student that keeps these layers, and is trained as one.
"""

from dataclasses import replace

from boomerang.errors import BadComposition
from boomerang.family.composition import Composition, Side
from boomerang.family.layer_map import LayerMap
from boomerang.family.member_config import is_tied
from boomerang.family.pair import Pair


def healed_map(composition: Composition) -> LayerMap:
    """The layers of the teacher that a member keeps.

    Raises BadComposition for one that is as deep as the teacher.
    """
    depth = composition.layermap.layers
    kept = tuple(layer.teacher_index for layer in composition.layers)
    if len(kept) == depth:
        raise BadComposition(
            f"The size {composition.code} has all {depth} layers of the teacher: there is nothing "
            "to heal.",
            value=composition.code,
            fix="Name a smaller size.",
        )
    return LayerMap(kept, depth)


def healed_pair(base: Pair, composition: Composition, *, freezes: bool) -> Pair:
    """The teacher and a healed member of `base`, whose training `freezes` the embeddings or not.

    A member of a tied teacher that stores its head stores it after healing too. Raises as
    `healed_map` and `Pair.planned`.
    """
    alike = composition.embeddings is Side.TEACHER or base.shared_embeddings
    layermap = healed_map(composition)
    pair = Pair.planned(base.teacher.checkpoint, layermap, frozen=freezes and alike)
    student = pair.student
    if not student.tied or is_tied(base, composition):
        return pair
    tensors = {**student.tensors, student.architecture.head: base.teacher.head_tensor}
    return replace(pair, student=replace(student, tensors=tensors, tied=False))
