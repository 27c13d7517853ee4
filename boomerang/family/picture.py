"""Members and patch orders as people read them: bars over the student's layers, and words."""

from collections.abc import Iterable

from boomerang.family.composition import Choice

SQUARES = {
    Choice.BLOCK: ("■", "the teacher's block"),
    Choice.STUDENT: ("□", "the student's layer"),
    Choice.FIRST: ("◧", "the first layer of the teacher's block"),
}

ORDERS = {
    "last": "from the last block to the first",
    "first": "from the first block to the last",
    "klpatch": "next the block that brings the model closest to its teacher, found by measuring",
    "best": "each size has its own best choice of blocks, found by measuring",
    "auto": "what measuring finds to be best",
}


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


def order_in_words(order: str) -> str:
    """What a patch order does, by its name; one in full is shown by its members' bars."""
    return ORDERS.get(order, "as it was asked for")
