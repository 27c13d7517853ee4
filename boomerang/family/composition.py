"""One member of a family, as choices: for each block what stands there, and whose ends it has.

A composition is data: no weights, no files. Two compositions that put the same tensors in the
same places are equal, because both are brought to one canonical form when they are made.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from boomerang.errors import BadComposition
from boomerang.family.layer_map import LayerMap


class Side(StrEnum):
    """Whose tensors."""

    STUDENT = "student"
    TEACHER = "teacher"


class Choice(StrEnum):
    """What stands in the place of one block. The letter is the one used in digests and names."""

    STUDENT = "s"
    """The student's layer."""
    BLOCK = "b"
    """The teacher's whole block (a *patch*)."""
    FIRST = "f"
    """The teacher's first layer of the block alone (what naive pruning keeps)."""


SQUARES = {
    Choice.BLOCK: ("■", "the teacher's block"),
    Choice.STUDENT: ("□", "the student's layer"),
    Choice.FIRST: ("◧", "the first layer of the teacher's block"),
}
"""How people read a choice."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a member: `index` on its `side`, and the teacher layer it stands for."""

    side: Side
    index: int
    teacher_index: int


@dataclass(frozen=True, slots=True)
class Composition:
    """A member: one choice for each student layer, and a side for each of the ends.

    Raises BadComposition where the number of choices is not the number of student layers.
    """

    layermap: LayerMap
    choices: tuple[Choice, ...]
    embeddings: Side
    norm: Side
    head: Side

    def __post_init__(self) -> None:
        if len(self.choices) != len(self.layermap.kept):
            raise BadComposition(
                f"{len(self.choices)} choices were given for {len(self.layermap.kept)} "
                "student layers.",
                value="".join(self.choices),
                fix="Give one of s, b, f for each student layer.",
            )
        # A block of one layer is its own first layer: both choices mean the same tensors.
        canonical = tuple(
            Choice.BLOCK if choice is Choice.FIRST and len(block) == 1 else choice
            for choice, block in zip(self.choices, self.layermap.blocks, strict=True)
        )
        object.__setattr__(self, "choices", canonical)

    @classmethod
    def of(cls, layermap: LayerMap, choices: Collection[Choice] | str) -> "Composition":
        """The member with these choices, ends from the side of the outermost layers.

        `choices` may be a string such as `"ssbbf"`. Embeddings come from the side of the first
        layer, norm and head from the side of the last.
        """
        try:
            letters = tuple(Choice(choice) for choice in choices)
        except ValueError:
            raise BadComposition(
                f"{''.join(choices)!r} is no list of choices.",
                value="".join(choices),
                fix="Use s (student layer), b (teacher block) or f (teacher's first layer).",
            ) from None
        first = Side.STUDENT if letters[:1] == (Choice.STUDENT,) else Side.TEACHER
        last = Side.STUDENT if letters[-1:] == (Choice.STUDENT,) else Side.TEACHER
        return cls(layermap, letters, embeddings=first, norm=last, head=last)

    @classmethod
    def patched(cls, layermap: LayerMap, patched: Collection[int]) -> "Composition":
        """The intermediate model in which these *long* student layers are patched.

        A run of one-layer blocks next to a patched block goes with it, as in the published code;
        all long layers patched is the teacher itself, none is the student itself.
        """
        long = set(layermap.long)
        if not set(patched) <= long:
            raise BadComposition(
                f"Student layers {sorted(set(patched) - long)} have no block to patch in.",
                value=sorted(patched),
                fix=f"Choose among {sorted(long)}.",
            )
        width = range(len(layermap.kept))
        choices = [Choice.BLOCK if j in patched else Choice.STUDENT for j in width]
        for sweep in (range(1, len(choices)), range(len(choices) - 2, -1, -1)):
            for j in sweep:
                neighbour = choices[j - sweep.step]
                if j not in long and neighbour is Choice.BLOCK:
                    choices[j] = Choice.BLOCK
        return cls.of(layermap, choices)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The member's layers from first to last."""
        found: list[Layer] = []
        for j, (choice, block) in enumerate(zip(self.choices, self.layermap.blocks, strict=True)):
            if choice is Choice.STUDENT:
                found.append(Layer(Side.STUDENT, j, block.start))
            else:
                of_teacher = block if choice is Choice.BLOCK else block[:1]
                found.extend(Layer(Side.TEACHER, i, i) for i in of_teacher)
        return tuple(found)

    @property
    def sides(self) -> frozenset[Side]:
        """Which of the two models it takes anything from."""
        ends = (self.embeddings, self.norm, self.head)
        return frozenset({*ends, *(layer.side for layer in self.layers)})

    @property
    def code(self) -> str:
        """The whole composition as a short string: choices, then the ends (`ssbb+stt`)."""
        ends = "".join(side.value[0] for side in (self.embeddings, self.norm, self.head))
        return "".join(self.choices) + "+" + ends

    def digest(self, teacher: str, student: str) -> str:
        """40 hex digits that name this member of this teacher and this student (their keys)."""
        text = f"{teacher}\n{student}\n{self.layermap.kept}/{self.layermap.layers}\n{self.code}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]


def last_to_first(layermap: LayerMap) -> tuple[int, ...]:
    """Order `last`: patch from the end of the model towards its beginning."""
    return tuple(reversed(layermap.long))


def first_to_last(layermap: LayerMap) -> tuple[int, ...]:
    """Order `first`: patch from the beginning of the model towards its end."""
    return layermap.long


def composition_of(layermap: LayerMap, code: str) -> Composition:
    """The composition behind a member's code (`ssbb+stt`). Raises BadComposition."""
    choices, _, ends = code.partition("+")
    try:
        sides = [{"s": Side.STUDENT, "t": Side.TEACHER}[letter] for letter in ends]
        return Composition(layermap, tuple(Choice(letter) for letter in choices), *sides)
    except (KeyError, TypeError, ValueError):
        raise BadComposition(
            f"{code!r} is no composition.", value=code, fix="Take it from the family's ladder."
        ) from None


def bar(code: str) -> str:
    """One square for each student layer of a composition's code: `ssbb+stt` is `□□■■`."""
    return "".join(SQUARES[Choice(letter)][0] for letter in code.partition("+")[0])


def legend(bars: Iterable[str]) -> str:
    """What the squares of these bars mean; the rare one only where it is among them."""
    shown = "".join(bars)
    parts = [
        f"{square} {meaning}"
        for choice, (square, meaning) in SQUARES.items()
        if choice is not Choice.FIRST or square in shown
    ]
    return "One square for each layer of the student: " + ", ".join(parts) + "."
