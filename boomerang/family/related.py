"""Whether a model can be a fine-tune of another: by headers alone, without torch."""

from boomerang.architecture.anatomy import Anatomy
from boomerang.errors import StudentMismatch
from boomerang.family.pair import Pair


def check_fine_tune(teacher: Anatomy, base: Pair) -> None:
    """Raise StudentMismatch where a teacher has not the shape of a base and its student."""
    of_base = base.teacher
    for what, a, b in (
        ("architecture", teacher.config.get("model_type"), of_base.config.get("model_type")),
        ("the number of layers", teacher.depth, of_base.depth),
        ("the vocabulary", teacher.head_tensor.shape[0], of_base.head_tensor.shape[0]),
        ("a tied head", teacher.tied, of_base.tied),
        ("a tied head of the student", teacher.tied, base.student.tied),
        ("the kinds of layers", teacher.kinds, of_base.kinds),
    ):
        if a != b:
            raise _mismatch(teacher, what, a, b)
    for role in sorted(teacher.tensors.keys() | of_base.tensors.keys(), key=repr):
        ours, theirs = teacher.tensors.get(role), of_base.tensors.get(role)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            shapes = [list(tensor.shape) if tensor else None for tensor in (ours, theirs)]
            raise _mismatch(teacher, teacher.architecture.name(role), *shapes)


def _mismatch(teacher: Anatomy, what: str, ours: object, theirs: object) -> StudentMismatch:
    return StudentMismatch(
        f"{teacher.checkpoint.name!r} is no fine-tune of that base: {what} is {ours!r} here and "
        f"{theirs!r} there.",
        value=what,
        fix="Name the model it was fine-tuned from, or distil it without a base.",
    )
