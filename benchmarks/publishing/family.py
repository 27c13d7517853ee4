"""The sizes of a family: their files, and which of their tensors an earlier size had already."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.publishing.models import names
from boomerang.assembly.bytefile import ByteFile
from boomerang.assembly.stitch import member_files, place
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.composition import Composition, last_to_first
from boomerang.family.pair import Pair

CARD = "---\nlibrary_name: transformers\ntags:\n- boomerang\n---\n# One of eight\n"


@dataclass(frozen=True)
class Size:
    """One size. `new` are bytes of tensors that no size before it had, `known` all others."""

    name: str
    files: dict[str, ByteFile]
    new: int
    known: int


def open_pair(folder: Path, number: int = 0) -> Pair:
    """Teacher and student of a folder, with the number in their names."""
    teacher, student = names(number)
    return Pair.of(Checkpoint.open(folder / teacher), Checkpoint.open(folder / student))


def sizes(pair: Pair) -> Iterator[Size]:
    """From the student up, one block more each."""
    order, seen = last_to_first(pair.layermap), set()
    for count in range(len(order) + 1):
        composition = Composition.patched(pair.layermap, order[:count])
        new = known = 0
        for item in place(pair, composition):
            where = (item.tensor.source, item.tensor.start)
            if where in seen:
                known += item.size
            else:
                new += item.size
            seen.add(where)
        yield Size(f"size-{count}", member_files(pair, composition, card=CARD), new, known)
