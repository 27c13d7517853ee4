"""Which teacher layers a student keeps, and the block of teacher layers behind each of them.

The teacher's layers fall into contiguous blocks, one for each student layer; the student keeps
the *first* layer of each block (arXiv 2510.05064, section 3.1).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from boomerang.errors import BadRequest, StudentMismatch


@dataclass(frozen=True, slots=True)
class LayerMap:
    """`kept[j]` is the teacher layer that student layer `j` starts from; `layers` is the teacher's.

    Raises StudentMismatch where the kept layers are not increasing, do not start with layer 0
    or leave the teacher.
    """

    kept: tuple[int, ...]
    layers: int

    def __post_init__(self) -> None:
        increasing = all(a < b for a, b in zip(self.kept, self.kept[1:], strict=False))
        if not self.kept or self.kept[0] != 0 or not increasing or self.kept[-1] >= self.layers:
            raise StudentMismatch(
                f"The kept layers {list(self.kept)} are no layer map of a teacher with "
                f"{self.layers} layers.",
                value=list(self.kept),
                fix="They must increase, start with 0 and stay below the teacher's depth.",
            )

    @classmethod
    def published(cls, layers: int) -> "LayerMap":
        """Keep the first layer, then every second one, and the last two.

        The paper's map of Qwen3-4B-Base (36 layers: 0, 2, …, 32, 34, 35). Raises StudentMismatch
        for a teacher of fewer than three layers.
        """
        if layers < 3:
            raise StudentMismatch(
                f"There is no published layer map of {layers} layers.",
                value=layers,
                fix="Name a teacher of at least three layers, or the layers to keep.",
            )
        return cls((*range(0, layers - 2, 2), layers - 2, layers - 1), layers)

    @classmethod
    def keeping_kinds(cls, kinds: Sequence[Hashable]) -> "LayerMap":
        """The published map, with kept layers moved within their blocks where it loses a kind.

        `kinds` has one value for each of the teacher's layers. Every kind must be kept, in the
        teacher's proportion to less than one layer; the published map is returned where it does
        that. Otherwise, from the first layer to the last, each block keeps its first layer of the
        kind that is furthest behind its proportion so far: the order in which the teacher mixes
        kinds is kept as well as blocks allow, and no layer leaves its block. Raises as `published`.
        """
        map_ = cls.published(len(kinds))
        return map_ if _proportional(map_.kept, kinds) else cls(_mixed(map_, kinds), len(kinds))

    @classmethod
    def from_kept(cls, kept: Iterable[int], layers: int) -> "LayerMap":
        """The map of a student whose kept layers are known (`copied_teacher_layers`)."""
        return cls(tuple(sorted(int(index) for index in kept)), layers)

    def student_config(self) -> dict[str, list[int]]:
        """What the student_config.json of such a student says."""
        return {
            "copied_teacher_layers": list(self.kept),
            "pruned_teacher_layers": list(self.pruned),
        }

    @property
    def blocks(self) -> tuple[range, ...]:
        """The teacher layers behind each student layer, in order."""
        ends = (*self.kept[1:], self.layers)
        return tuple(range(start, end) for start, end in zip(self.kept, ends, strict=True))

    @property
    def long(self) -> tuple[int, ...]:
        """The student layers whose block has more than one teacher layer: what can be patched."""
        return tuple(j for j, block in enumerate(self.blocks) if len(block) > 1)

    @property
    def pruned(self) -> tuple[int, ...]:
        """The teacher layers that the student lacks (`pruned_teacher_layers`)."""
        return tuple(sorted(set(range(self.layers)) - set(self.kept)))


def parse_layers(text: str) -> tuple[int, ...]:
    """Layer indices written as `0,2,4`. Raises BadRequest."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise BadRequest(
            f"{text!r} is no list of layers.",
            value=text,
            fix="Separate the teacher's layers by commas: 0,2,4,7,9,11.",
        )
    return tuple(int(part) for part in parts)


def _proportional(kept: Sequence[int], kinds: Sequence[Hashable]) -> bool:
    """Whether every kind is among the kept layers, as often as its share to less than one."""
    have = Counter(kinds[index] for index in kept)
    return all(
        have[kind] and abs(have[kind] - len(kept) * count / len(kinds)) < 1
        for kind, count in Counter(kinds).items()
    )


def _mixed(map_: LayerMap, kinds: Sequence[Hashable]) -> tuple[int, ...]:
    """One layer of each block, of the first block its first."""
    total, have, kept = Counter(kinds), Counter[Hashable](), list[int]()

    def behind(kind: Hashable) -> float:
        return total[kind] * (len(kept) + 1) / len(kinds) - have[kind]

    for j, block in enumerate(map_.blocks):
        # Of equals, max takes the first: the layer that moves least.
        index = max(block, key=lambda i: behind(kinds[i])) if j else 0
        kept.append(index)
        have[kinds[index]] += 1
    for kind in total.keys() - have.keys():
        # A kind too rare to fall behind by itself: where most such layers are still possible.
        able = [(j, i) for j, block in enumerate(map_.blocks) for i in block if kinds[i] == kind]
        able = [(j, i) for j, i in able if j and have[kinds[kept[j]]] > 1]
        if able:
            j, index = able[len(able) // 2]
            have[kinds[kept[j]]] -= 1
            kept[j], have[kind] = index, 1
    return tuple(kept)
