"""Which layers come from where: the teacher's, the student's, and those of every size."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from boomerang.charts.drawing.frame import chart
from boomerang.charts.drawing.svg import label, percent, short, stretched, tag
from boomerang.charts.drawing.theme import PAGE, Theme
from boomerang.family.composition import Choice, Composition, Layer, Side

CELL, GAP, FINE = 10, 1.0, 36
"""The width of one of the teacher's layers in the units of a row, and what of it is left free where
there are so many layers; of fewer it is less, as they are wider."""
BAR, ROW = 22, 58
"""Height of a row's bars, and from one row to the next, in pixels."""
MOST_NUMBERS = 40
"""Of more layers than these the numbers would not fit into their cells."""


@dataclass(frozen=True, slots=True)
class Row:
    """A size of the family by its name, and what it is made of."""

    name: str
    composition: Composition


def layers_chart(
    rows: Sequence[Row], *, chosen: str | None = None, theme: Theme = PAGE, numbers: bool = False
) -> str:
    """Three rows of layers, each above what it stands for: the teacher's, the student's, a size's.

    The size is `chosen`, or the first of `rows`, which are of one family. A page has all of them,
    each a group with its name in `data-size`, of which its style sheet shows the one of class
    `chosen`. With `numbers` every layer has that which it bears in its own model.
    """
    if not rows:
        return ""
    here = next((row for row in rows if row.name == chosen), rows[0])
    layermap = here.composition.layermap
    deep, kept = layermap.layers, len(layermap.kept)
    numbers = numbers and deep <= MOST_NUMBERS
    student = Composition.of(layermap, [Choice.STUDENT] * kept)
    teacher = Composition.of(layermap, [Choice.BLOCK] * kept)
    shown = rows if theme.interactive else [here]
    members = [_member(row, theme, numbers, here=row is here) for row in shown]
    body = (
        _row(f"teacher · {deep} layers", teacher, theme, numbers)
        + tag("svg", _row(f"student · {kept} layers", student, theme, numbers), **_down(1))
        + tag("svg", *members, **_down(2))
    )
    height = 3 * ROW - (ROW - BAR - 20) + 4
    if not theme.interactive:
        body += tag("svg", _legend(theme), y=height + 26, overflow="visible")
        height += 30
    name = f"the layers of {here.name}, its student and its teacher"
    return chart(theme, height, "layers", name, _said(here), body)


def _down(row: int) -> dict[str, object]:
    return {"y": row * ROW, "overflow": "visible"}


def _member(row: Row, theme: Theme, numbers: bool, *, here: bool) -> str:
    inner = _row(_said(row), row.composition, theme, numbers, strong=True)
    if not theme.interactive:
        return inner
    return tag("g", inner, class_="member chosen" if here else "member", data_size=row.name)


def _said(row: Row) -> str:
    """A size in words: how many of its layers are whose."""
    layers = row.composition.layers
    counts = Counter(layer.side.value for layer in layers)
    made = ", ".join(f"{counts[side]} {side}" for side in Side if counts[side])
    return f"{row.name} · {len(layers)} layers: {made}"


def _row(
    name: str, composition: Composition, theme: Theme, numbers: bool, *, strong: bool = False
) -> str:
    placed, deep = _placed(composition), composition.layermap.layers
    gap = GAP * min(1.0, deep / FINE)
    bars = [
        tag("path", d=path, stroke_dasharray=dashes, **theme(f"{side.value}s"))
        for side in Side
        for path, dashes in _bars([(x, wide) for one, x, wide in placed if one.side is side], gap)
    ]
    box = stretched(CELL * deep - gap, 20, *bars, y=20, height=BAR)
    found = label(name, y=13, **theme("strong" if strong else "said")) + box
    if numbers:
        found += "".join(_number(layer, at, wide, deep, theme) for layer, at, wide in placed)
    return found


def _placed(composition: Composition) -> list[tuple[Layer, int, int]]:
    """Where each layer stands below the teacher's, and how many of those it stands for."""
    layers = composition.layers
    starts = [layer.teacher_index for layer in layers]
    ends = [*starts[1:], composition.layermap.layers]
    return [(layer, s, e - s) for layer, s, e in zip(layers, starts, ends, strict=True)]


def _bars(cells: Sequence[tuple[int, int]], gap: float) -> Iterator[tuple[str, str]]:
    """Cells as strokes along a row, and the dashes that part them: one path for each width, so
    that eighty layers are a few letters.
    """
    for wide in sorted({wide for _, wide in cells}):
        starts = [at for at, one in cells if one == wide]
        begins = [at - wide * index for index, at in enumerate(starts)]
        runs = groupby(zip(begins, starts, strict=True), key=itemgetter(0))
        ends = [[at for _, at in run] for _, run in runs]
        path = "".join(
            f"M{CELL * run[0]} 10H{short(CELL * (run[-1] + wide) - gap)}" for run in ends
        )
        yield path, f"{short(CELL * wide - gap)} {short(gap)}"


def _number(layer: Layer, at: int, wide: int, deep: int, theme: Theme) -> str:
    full = layer.side is Side.TEACHER
    gap = GAP * min(1.0, deep / FINE)
    place = (CELL * (at + wide / 2) - gap / 2) / (CELL * deep - gap)
    return label(
        str(layer.index), x=percent(place), y=20 + BAR / 2 + 3.5, text_anchor="middle",
        **theme("within" if full else "upon"),
    )  # fmt: skip


def _legend(theme: Theme) -> str:
    found, x = list[str](), 0
    for role, text in (("teachers", "the teacher's layer"), ("students", "the student's layer")):
        style = theme(role) | {"stroke_width": "12"}
        found.append(tag("path", d=f"M{x} -4h12", **style))
        found.append(label(f"{text}, under its own number", x=x + 19, **theme("said")))
        x += 310
    return "".join(found)
