"""Compositions and patch orders in the short form in which the catalog keeps them."""

from boomerang.errors import BadComposition
from boomerang.family.composition import Choice, Composition, Side, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.family.patch_order import PatchOrder, parse_order


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


def named_order(layermap: LayerMap, order: str) -> PatchOrder | None:
    """The patch order behind a name; None for one that only measuring can find.

    An order in full is `5,3,1` (long student layers) or `sss,sbs,bbb` (every member's choices).
    Raises BadComposition.
    """
    if order == "last":
        return last_to_first(layermap)
    if order == "first":
        return first_to_last(layermap)
    if order in ("auto", "best", "klpatch"):
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
