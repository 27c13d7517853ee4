"""A teacher and a student that belong together: every member of a family is cut from a pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from boomerang.anatomy import Anatomy, dissect, equal_bytes
from boomerang.architectures import Part, Role
from boomerang.checkpoint import Checkpoint, Tensor
from boomerang.composition import Side
from boomerang.errors import StudentMismatch
from boomerang.layermap import LayerMap

STUDENT_CONFIG = "student_config.json"
RECORD = "boomerang.json"

_SAME = (
    "num_attention_heads", "num_key_value_heads", "head_dim", "n_head",
    "hidden_act", "activation_function", "use_parallel_residual", "rotary_pct",
    "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rope_theta",
    "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling",
)  # fmt: skip
"""Config values that no tensor's shape shows, and that a member's layers must agree on."""


@dataclass(frozen=True)
class Pair:
    """A checked teacher and student, and the layer map between them.

    `shared_embeddings` says that both have the same embeddings byte for byte (they were frozen
    while the student was distilled), so that a member of a tied teacher can stay tied.
    """

    teacher: Anatomy
    student: Anatomy
    layermap: LayerMap
    shared_embeddings: bool

    @classmethod
    def of(cls, teacher: Checkpoint, student: Checkpoint, *, verify: bool = True) -> "Pair":
        """Pair two checkpoints; the layer map is read from the student's student_config.json.

        With `verify` false the student's record is believed about frozen embeddings; otherwise
        their bytes are compared. Raises StudentMismatch where depth, width, vocabulary or any
        tensor's shape differ, or the student does not say which layers it keeps.
        """
        pair = cls(*_fitting(teacher, student), shared_embeddings=False)
        record = student.json(RECORD) or {}
        believed = bool(record.get("frozen_embeddings"))
        shared = pair._same_embeddings() if verify else believed
        return cls(pair.teacher, pair.student, pair.layermap, shared)

    @classmethod
    def planned(cls, teacher: Checkpoint, layermap: LayerMap, *, frozen: bool) -> "Pair":
        """The pair a distillation will make, from the teacher's headers alone.

        The student's tensors are those it will be initialised with: the kept layers. Raises
        StudentMismatch where the layer map is of another depth.
        """
        anatomy = dissect(teacher)
        if layermap.layers != anatomy.depth:
            raise StudentMismatch(
                f"A layer map of {layermap.layers} layers does not fit {teacher.name!r}, which "
                f"has {anatomy.depth}.",
                value=layermap.layers,
                fix="Make the layer map from the teacher's own depth.",
            )
        tensors: dict[Role, Tensor] = {}
        position = {layer: j for j, layer in enumerate(layermap.kept)}
        for role, tensor in anatomy.tensors.items():
            if role.part is not Part.LAYER:
                tensors[role] = tensor
            elif role.layer in position:
                tensors[Role(Part.LAYER, position[role.layer], role.suffix)] = tensor
        depth = len(layermap.kept)
        config = {**teacher.config, anatomy.architecture.depth_key: depth}
        checkpoint = Checkpoint(f"{teacher.name} (student)", config, {}, {})
        student = Anatomy(checkpoint, anatomy.architecture, tensors, depth, anatomy.tied)
        return cls(anatomy, student, layermap, shared_embeddings=frozen)

    def side(self, side: Side) -> Anatomy:
        """The model of that side."""
        return self.teacher if side is Side.TEACHER else self.student

    @cached_property
    def dtypes(self) -> Mapping[Role, str]:
        """The dtype each role has in a member: the teacher's. Layers are under index 0."""
        stored = {role: tensor.dtype for role, tensor in self.teacher.tensors.items()}
        if self.teacher.tied:
            stored[self.teacher.architecture.head] = self.teacher.head_tensor.dtype
        return stored

    @cached_property
    def layers(self) -> tuple[list[tuple[Role, Tensor]], ...]:
        """The teacher's tensors, by layer."""
        return tuple(self.teacher.part(Part.LAYER, index) for index in range(self.teacher.depth))

    def _same_embeddings(self) -> bool:
        return all(
            equal_bytes(tensor, self.student.tensors[role])
            for role, tensor in self.teacher.part(Part.EMBEDDINGS)
        )


def _fitting(teacher: Checkpoint, student: Checkpoint) -> tuple[Anatomy, Anatomy, LayerMap]:
    of_teacher, of_student = dissect(teacher), dissect(student)
    if of_teacher.architecture != of_student.architecture:
        a, b = (side.config.get("model_type") for side in (student, teacher))
        raise _mismatch(student, teacher, "architecture", a, b)
    for key in _SAME:
        a, b = student.config.get(key), teacher.config.get(key)
        if a is not None and b is not None and a != b:
            raise _mismatch(student, teacher, key, a, b)
    layermap = _read_layermap(student, of_teacher.depth)
    if len(layermap.kept) != of_student.depth:
        raise StudentMismatch(
            f"{student.name!r} has {of_student.depth} layers and says that it keeps "
            f"{len(layermap.kept)}.",
            value=of_student.depth,
            fix=f"Correct {STUDENT_CONFIG}.",
        )
    for role, tensor in of_student.tensors.items():
        at = Role(role.part, layermap.kept[role.layer], role.suffix) if role.layer >= 0 else role
        if role == of_student.architecture.head and of_teacher.tied:
            at = of_teacher.architecture.token_embeddings
        other = of_teacher.tensors.get(at)
        if other is None or other.shape != tensor.shape:
            shape = None if other is None else list(other.shape)
            raise StudentMismatch(
                f"{student.name!r} is no student of {teacher.name!r}: {tensor.name} has shape "
                f"{list(tensor.shape)}, the teacher's {shape}.",
                value=list(tensor.shape),
                fix="Width, vocabulary and heads must be the teacher's; name the right student.",
            )
    lacking = {(r.part, r.suffix) for r in of_teacher.tensors} - {
        (r.part, r.suffix) for r in of_student.tensors
    }
    if of_student.tied:
        lacking -= {(Part.HEAD, "weight")}
    if lacking:
        raise StudentMismatch(
            f"{student.name!r} lacks {sorted(suffix for _, suffix in lacking)[:4]}, which "
            f"{teacher.name!r} has.",
            value=student.name,
            fix="Name the student that was distilled from this teacher.",
        )
    return of_teacher, of_student, layermap


def _read_layermap(student: Checkpoint, depth: int) -> LayerMap:
    said = student.json(STUDENT_CONFIG)
    kept = said.get("copied_teacher_layers") if said else None
    if not isinstance(kept, list) or not all(type(layer) is int for layer in kept):
        raise StudentMismatch(
            f"{student.name!r} does not say which teacher layers it keeps.",
            value=student.name,
            fix=f'Put {{"copied_teacher_layers": [0, 2, …]}} in its {STUDENT_CONFIG}.',
        )
    return LayerMap.from_kept(kept, depth)


def _mismatch(
    student: Checkpoint, teacher: Checkpoint, what: str, a: object, b: object
) -> StudentMismatch:
    return StudentMismatch(
        f"The {what} of {student.name!r} is {a!r}, that of {teacher.name!r} is {b!r}.",
        value=a,
        fix="Name a student of this teacher.",
    )
