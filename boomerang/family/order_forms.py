"""The two forms of a patch order: which blocks go in one after another, or each member by itself.

A nested order is a permutation of the long student layers: each member patches one block more than
the one before. A free order (`best`) names the choices of every member, as `ssbbf`: a larger member
need not contain the smaller one's patches. Which order is best is found by measuring:
quality/choosing/orders.py.
"""

from collections.abc import Sequence
from itertools import pairwise

from boomerang.errors import BadComposition
from boomerang.family.composition import Choice, Composition, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap

PatchOrder = tuple[int, ...] | tuple[str, ...]
"""Long student layers in the order in which they are patched, or the choices of each member."""

ORDERS = {
    "auto": "what measuring finds to be best",
    "last": "from the last block to the first",
    "first": "from the first block to the last",
    "klpatch": "next the block that brings the model closest to its teacher, found by measuring",
    "best": "each size has its own best choice of blocks, found by measuring",
}
"""Orders that have a name, in words; `auto`, `klpatch` and `best` are found by measuring."""


def members_of(layermap: LayerMap, order: Sequence[int] | Sequence[str]) -> list[Composition]:
    """The members of a patch order, from k = 0 (the student) to k = K (the teacher).

    Raises BadComposition for numbers that are no permutation of the long student layers, and for
    choices that do not lead from the student to the teacher, each member deeper than the last.
    """
    if order and all(isinstance(part, str) for part in order):
        return _free(layermap, [str(part) for part in order])
    numbers = [int(part) for part in order]
    if sorted(numbers) != list(layermap.long):
        raise BadComposition(
            f"{numbers} is no order of the student layers {list(layermap.long)}.",
            value=numbers,
            fix="Name each of these layers once, in the order in which their blocks are put back.",
        )
    return [Composition.patched(layermap, numbers[:k]) for k in range(len(numbers) + 1)]


def named_order(layermap: LayerMap, order: str) -> PatchOrder | None:
    """The patch order behind a name; None for one that only measuring can find.

    An order in full is `5,3,1` (long student layers) or `sss,sbs,bbb` (every member's choices).
    Raises BadComposition.
    """
    if order == "last":
        return last_to_first(layermap)
    if order == "first":
        return first_to_last(layermap)
    if order in ORDERS:
        return None
    found = parse_order(order)
    if found is None:
        raise BadComposition(
            f"{order!r} is no patch order.",
            value=order,
            fix="Use last (from the last block to the first), first, klpatch, best, auto, or the "
            f"layers {list(layermap.long)} of the student in the order in which they give way.",
        )
    return found


def order_of(layermap: LayerMap, order: str) -> PatchOrder:
    """A patch order that needs no measuring. Raises BadComposition for one that does."""
    found = named_order(layermap, order)
    if found is None:
        raise BadComposition(
            f"The order {order!r} is found by measuring.",
            value=order,
            fix="Give last, first, or the patch_order that `boomerang measure --json` prints.",
        )
    return found


def parse_order(text: str) -> PatchOrder | None:
    """An order in full: `5,3,1` or `sss,sbs,bbb`; None where the text is neither."""
    parts = [part.strip() for part in text.split(",")]
    if all(part.isascii() and part.isdigit() for part in parts):
        return tuple(int(part) for part in parts)
    letters = {choice.value for choice in Choice}
    return tuple(parts) if all(part and set(part) <= letters for part in parts) else None


def show_order(order: Sequence[int] | Sequence[str]) -> str:
    """An order as `parse_order` reads it."""
    return ",".join(str(part) for part in order)


def order_in_words(order: str) -> str:
    """What a patch order does, by its name; one in full is shown by its members' bars."""
    return ORDERS.get(order, "as it was asked for")


def _free(layermap: LayerMap, codes: list[str]) -> list[Composition]:
    members = [Composition.of(layermap, code) for code in codes]
    depths = [len(member.layers) for member in members]
    student = Composition.patched(layermap, ())
    teacher = Composition.patched(layermap, layermap.long)
    deeper = all(a < b for a, b in pairwise(depths))
    if members[0] != student or members[-1] != teacher or not deeper:
        raise BadComposition(
            f"{show_order(codes)!r} does not lead from the student to the teacher.",
            value=show_order(codes),
            fix="Each size has a letter for each student layer, s for that layer and b for the "
            f"teacher's block. Begin with {'s' * len(layermap.kept)}, end with "
            f"{'b' * len(layermap.kept)}, and let each have more layers than the one before.",
        )
    return members
