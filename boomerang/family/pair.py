"""A teacher and a student that belong together: every member of a family is cut from a pair."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from boomerang.architecture.anatomy import Anatomy, dissect, equal_bytes
from boomerang.architecture.bert import as_student, not_distilled
from boomerang.architecture.kinds import UNSAID, first_difference, rope, trained_kinds, window
from boomerang.architecture.supported import Part, Role
from boomerang.checkpoint.files import RECORD, STUDENT_CONFIG
from boomerang.checkpoint.header import Tensor
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import StudentMismatch
from boomerang.family.composition import Side
from boomerang.family.layer_map import LayerMap

_SAME = (
    "num_attention_heads", "num_key_value_heads", "head_dim", "n_head",
    "hidden_act", "activation_function", "use_parallel_residual", "rotary_pct",
    "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rope_theta",
    "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling",
    "num_experts_per_tok", "norm_topk_prob", "query_pre_attn_scalar", "hidden_activation",
    "norm_epsilon", "logit_scale", "scale_attn_weights", "swiglu_alpha", "swiglu_limit",
)  # fmt: skip
"""Config values that no tensor's shape shows, and that a member's layers must agree on.

A value that is left out or null is the class's own, and is not compared.
"""

_LIMITS = ("attn_logit_softcapping", "final_logit_softcapping", "clip_qkv")
"""The same, where null is a value: no limit."""

_KNOWN: Mapping[tuple[str, int, int], tuple[str, tuple[int, ...]]] = {
    ("gpt2", 6, 12): ("DistilGPT2", (0, 2, 4, 7, 9, 11)),
    ("bert", 6, 12): ("DistilBERT", (0, 2, 4, 7, 9, 11)),
}
"""Students that were published without a student_config.json, and the layers they keep.

By the teacher's `model_type`, the student's and the teacher's depth. Any other student of these
depths looks the same, so the map is proposed, never assumed. Source: the scripts that initialised
them (huggingface/transformers-research-projects, distillation/scripts/extract*.py).
"""


_Differ = Callable[[str, object, object], StudentMismatch]


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
    def of(
        cls, teacher: Checkpoint, student: Checkpoint, *, kept: Sequence[int] | None = None,
        verify: bool = True,
    ) -> "Pair":  # fmt: skip
        """Pair two checkpoints; the layer map is read from the student's student_config.json.

        `kept` says which teacher layers a student keeps that has no such file. With `verify`
        false the student's record is believed about frozen embeddings; otherwise their bytes are
        compared. A DistilBERT beside a BERT becomes a BERT. Raises StudentMismatch where depth,
        width, vocabulary, rotary settings, kinds of layers or any tensor's shape differ, or
        nothing says which layers the student keeps.
        """
        pair = cls(*_fitting(teacher, student, kept), shared_embeddings=False)
        record = student.json(RECORD) or {}
        believed = bool(record.get("frozen_embeddings"))
        shared = pair.same_embeddings() if verify else believed
        return cls(pair.teacher, pair.student, pair.layermap, shared)

    @classmethod
    def planned(cls, teacher: Checkpoint, layermap: LayerMap, *, frozen: bool) -> "Pair":
        """The pair a distillation will make, from the teacher's headers alone.

        The student's tensors are those it will be initialised with: the kept layers. Raises
        StudentMismatch where the layer map is of another depth, UnsupportedArchitecture for a
        masked language model.
        """
        anatomy = dissect(teacher)
        if anatomy.architecture.masked:
            raise not_distilled(teacher.name)
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
        config = {**anatomy.config, anatomy.architecture.depth_key: depth}
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

    @property
    def compared(self) -> int:
        """The bytes that comparing the embeddings may have to read."""
        return sum(2 * (t.stop - t.start) for _, t in self.teacher.part(Part.EMBEDDINGS))

    def same_embeddings(self) -> bool:
        """Whether both have the same embeddings, byte for byte."""
        return all(
            equal_bytes(tensor, self.student.tensors[role])
            for role, tensor in self.teacher.part(Part.EMBEDDINGS)
        )


def _fitting(
    teacher: Checkpoint, student: Checkpoint, kept: Sequence[int] | None
) -> tuple[Anatomy, Anatomy, LayerMap]:
    of_teacher = dissect(teacher)
    of_student = dissect(as_student(student, of_teacher.checkpoint))

    def differ(what: str, a: object, b: object) -> StudentMismatch:
        return StudentMismatch(
            f"The {what} of {student.name!r} is {a!r}, that of {teacher.name!r} is {b!r}.",
            value=a,
            fix="Name a student of this teacher.",
        )

    _check_configs(of_student, of_teacher, differ)
    layermap = _read_layermap(student, kept, of_student.depth, of_teacher)
    if len(layermap.kept) != of_student.depth:
        raise StudentMismatch(
            f"{student.name!r} has {of_student.depth} layers and says that it keeps "
            f"{len(layermap.kept)}.",
            value=of_student.depth,
            fix=f"Correct {STUDENT_CONFIG}."
            if kept is None
            else "Name one for each of its layers.",
        )
    _check_kinds(of_student, of_teacher, layermap, differ)
    _check_tensors(of_student, of_teacher, layermap, (student.name, teacher.name))
    return of_teacher, of_student, layermap


def _check_configs(student: Anatomy, teacher: Anatomy, differ: _Differ) -> None:
    """Raise where two configs do not mean the same computation."""
    mine, theirs = student.config, teacher.config
    if student.architecture != teacher.architecture:
        raise differ("architecture", mine.get("model_type"), theirs.get("model_type"))
    for key in _SAME:
        a, b = mine.get(key), theirs.get(key)
        if a is not None and b is not None and a != b:
            raise differ(key, a, b)
    for key in _LIMITS:
        if key in mine and key in theirs and mine[key] != theirs[key]:
            raise differ(key, mine[key], theirs[key])
    different = first_difference(mine, theirs)
    if different is not None:
        raise differ(different, rope(mine)[different], rope(theirs)[different])


def _check_kinds(student: Anatomy, teacher: Anatomy, layermap: LayerMap, differ: _Differ) -> None:
    """Raise where a student's layer was trained as another kind than the one it is kept from."""
    kinds = [teacher.kinds[index] for index in layermap.kept]
    trained = trained_kinds(student.config, student.architecture, student.depth)
    for j, (kind, wanted) in enumerate(zip(trained, kinds, strict=True)):
        if kind != wanted:
            what = f"kind of layer {j} (kept from {layermap.kept[j]})"
            raise differ(what, str(kind), str(wanted))
    windows = [window(side.config, side.architecture, kinds) for side in (student, teacher)]
    if UNSAID not in windows and windows[0] != windows[1]:
        raise differ("sliding_window", *windows)


def _check_tensors(
    student: Anatomy, teacher: Anatomy, layermap: LayerMap, names: tuple[str, str]
) -> None:
    """Raise where a tensor of the student is none of the teacher's, or the other way about."""
    for role, tensor in student.tensors.items():
        at = Role(role.part, layermap.kept[role.layer], role.suffix) if role.layer >= 0 else role
        if role == student.architecture.head and teacher.tied:
            at = teacher.architecture.token_embeddings
        other = teacher.tensors.get(at)
        if other is None or other.shape != tensor.shape:
            shape = None if other is None else list(other.shape)
            raise StudentMismatch(
                f"{names[0]!r} is no student of {names[1]!r}: {tensor.name} has shape "
                f"{list(tensor.shape)}, the teacher's {shape}.",
                value=list(tensor.shape),
                fix="Width, vocabulary and heads must be the teacher's; name the right student.",
            )
    theirs, mine = ({(r.part, r.suffix) for r in side.tensors} for side in (teacher, student))
    if student.tied:
        mine |= {(role.part, role.suffix) for role in student.architecture.tied_roles}
    if lacking := theirs - mine:
        raise StudentMismatch(
            f"{names[0]!r} lacks {sorted(suffix for _, suffix in lacking)[:4]}, which "
            f"{names[1]!r} has.",
            value=names[0],
            fix="Name the student that was distilled from this teacher.",
        )


def _read_layermap(
    student: Checkpoint, given: Sequence[int] | None, depth: int, teacher: Anatomy
) -> LayerMap:
    kept = (student.json(STUDENT_CONFIG) or {}).get("copied_teacher_layers", given)
    if not isinstance(kept, list | tuple) or not all(type(layer) is int for layer in kept):
        known = _KNOWN.get((teacher.config["model_type"], depth, teacher.depth), ("", ()))
        whose = f" (as {known[0]} does)" if known[0] else ""
        example = ",".join(map(str, known[1])) or "0,2,…"
        raise StudentMismatch(
            f"{student.name!r} does not say which teacher layers it keeps.",
            value=student.name,
            fix=f"Say which with --kept {example}{whose}, or put "
            f'{{"copied_teacher_layers": [{example}]}} in its {STUDENT_CONFIG}.',
        )
    layermap = LayerMap.from_kept(kept, teacher.depth)
    if given is not None and tuple(sorted(given)) != layermap.kept:
        raise StudentMismatch(
            f"{student.name!r} says that it keeps {list(layermap.kept)}, not {list(given)}.",
            value=list(given),
            fix=f"Leave the kept layers out, or correct its {STUDENT_CONFIG}.",
        )
    return layermap
