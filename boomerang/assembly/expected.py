"""What a member must be, from the headers of the two models that it says it is made of."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.supported import Part
from boomerang.assembly.stitch import Placed, place
from boomerang.checkpoint.files import CONFIG, OTHER_WEIGHTS, WEIGHTS
from boomerang.checkpoint.header import Tensor
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import UnsupportedArchitecture
from boomerang.family.composition import Composition, Side
from boomerang.family.member_config import is_tied, member_config
from boomerang.family.pair import Pair


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first thing of a member that is not what it says: `detail` in a sentence.

    `offset` is the byte in `file` from which on it differs; `expected` names what should be there.
    """

    detail: str
    file: str | None = None
    tensor: str | None = None
    offset: int | None = None
    expected: str | None = None


def without_student(
    teacher: Checkpoint, composition: Composition, config: Mapping[str, Any]
) -> Pair:
    """The pair of a student that cannot be read: names, shapes and dtypes are the teacher's.

    The `config` of the member tells of a student whose head is its own though the teacher's is not.
    Raises UnsupportedArchitecture for a masked language model, whose student may have other names.
    """
    if dissect(teacher).architecture.masked:
        raise UnsupportedArchitecture(
            f"A size of the masked language model {teacher.name!r} is verified beside its student.",
            value="masked",
            fix="Name its student (--student).",
        )
    pair = Pair.planned(teacher, composition.layermap, frozen=False)
    student = pair.student
    if student.tied and not config.get("tie_word_embeddings") and is_tied(pair, composition):
        tensors = {**student.tensors, student.architecture.head: pair.teacher.head_tensor}
        student = replace(student, tensors=tensors, tied=False)
    return replace(pair, student=student)


def as_claimed(pair: Pair, composition: Composition, config: Mapping[str, Any]) -> Pair:
    """The pair with equal embeddings where the member needs that, which is then to be proven.

    It does where its config ties a head of one side to embeddings of the other.
    """
    across = composition.embeddings is not composition.head
    return replace(pair, shared_embeddings=across and bool(config.get("tie_word_embeddings")))


def expected(pair: Pair, composition: Composition) -> list[Placed]:
    """Every tensor that the member must have; of two sides where it must be equal to both."""
    placed = place(pair, composition)
    if pair.shared_embeddings:
        name, dtypes = pair.teacher.architecture.name, pair.dtypes
        both = pair.student.part(Part.EMBEDDINGS)
        placed += [Placed(name(role), one, dtypes[role], Side.STUDENT) for role, one in both]
    return placed


def differing_config(
    pair: Pair, composition: Composition, config: Mapping[str, Any]
) -> Mismatch | None:
    """The first value of a member's config.json that is not what the pair gives."""
    wanted = member_config(pair, composition)
    for key in sorted({*wanted, *config}):
        theirs, ours = (_written(one, key) for one in (wanted, config))
        if theirs != ours:
            return Mismatch(f"{key} is {ours} instead of {theirs}.", CONFIG, expected=theirs)
    return None


def _written(config: Mapping[str, Any], key: str) -> str:
    return json.dumps(config[key], sort_keys=True) if key in config else "absent"


def differing_header(member: Checkpoint, placed: Iterable[Placed]) -> Mismatch | None:
    """The first tensor that is missing, has another dtype or shape, or is none of the member's."""
    wanted = {item.name: item for item in placed}
    extra = [name for name in member.tensors if name not in wanted]
    for name, item in wanted.items():
        found = member.tensors.get(name)
        if found is None:
            what = f"There is no tensor {name!r}" + (f", but {extra[0]!r}." if extra else ".")
            return Mismatch(what, tensor=name, expected=origin(item))
        for kind, ours, theirs in (
            ("dtype", found.dtype, item.dtype),
            ("shape", list(found.shape), list(item.tensor.shape)),
        ):
            if ours != theirs:
                what = f"The {kind} of {name!r} is {ours} instead of {theirs}."
                return Mismatch(what, found.source.name, name, found.start, origin(item))
    if extra:
        found = member.tensors[extra[0]]
        what = f"The tensor {extra[0]!r} belongs to no layer or end of it."
        return Mismatch(what, found.source.name, extra[0], found.start, "no such tensor")
    return None


def strays(member: Checkpoint, names: Iterable[str]) -> Iterator[Mismatch]:
    """Of all files there are: other weights than those that the member consists of."""
    used = {tensor.source.name for tensor in member.tensors.values()}
    for name in sorted(set(names) - used):
        if re.fullmatch(WEIGHTS, name) or name.endswith((".safetensors", *OTHER_WEIGHTS)):
            yield Mismatch(f"{name} is none of its weights.", name, expected="no such file")


def origin(item: Placed, offset: int = 0) -> str:
    """Where the bytes of a tensor come from, `offset` bytes into it as it is in the member."""
    tensor = item.tensor
    cast = "" if item.dtype == tensor.dtype else f", cast from {tensor.dtype}"
    at = tensor.start + offset * (tensor.stop - tensor.start) // max(item.size, 1)
    return f"{tensor.name} of the {item.side} ({tensor.source.name} from byte {at}{cast})"


def located(tensors: Iterable[Tensor], file: str, offset: int) -> Tensor:
    """The tensor that has this byte of a file."""
    return next(t for t in tensors if t.source.name == file and t.start <= offset < t.stop)
