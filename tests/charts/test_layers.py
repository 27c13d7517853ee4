"""The picture of layers: each above what it stands for, one size of many shown."""

import re
from xml.etree import ElementTree as XML

import pytest

from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.layers import Row, layers_chart
from boomerang.family.composition import Composition, last_to_first
from boomerang.family.layer_map import LayerMap
from tests.charts.reading import parsed, texts

MAP = LayerMap((0, 2, 4, 6, 7), 8)


def rows(layermap: LayerMap) -> list[Row]:
    order = last_to_first(layermap)
    return [
        Row(f"size {k}", Composition.patched(layermap, order[:k])) for k in range(len(order) + 1)
    ]


def cells(path: XML.Element) -> int:
    """How many cells a path of bars has: as often as its dashes go into its runs."""
    dash, gap = map(float, path.attrib["stroke-dasharray"].split())
    runs = re.findall(r"M(\d+) 10H([\d.]+)", path.attrib["d"])
    return sum(round((float(end) - float(start) + gap) / (dash + gap)) for start, end in runs)


def test_a_size_has_as_many_bars_of_each_side_as_layers() -> None:
    found = rows(MAP)
    root = parsed(layers_chart(found, chosen="size 1"))
    groups = {one.attrib["data-size"]: one for one in root.iter("g")}
    assert list(groups) == [row.name for row in found]
    for row in found:
        for role in ("student", "teacher"):
            drawn = [p for p in groups[row.name].iter("path") if p.get("class") == f"{role}s"]
            assert sum(map(cells, drawn)) == sum(
                layer.side == role for layer in row.composition.layers
            )


def test_one_size_is_shown_and_named() -> None:
    root = parsed(layers_chart(rows(MAP), chosen="size 1"))
    shown = [one for one in root.iter("g") if one.attrib["class"] == "member chosen"]
    assert [one.attrib["data-size"] for one in shown] == ["size 1"]
    assert "size 1 · 6 layers: 2 student, 4 teacher" in texts(root)
    # Of a name that is not there, the first.
    assert 'class="member chosen" data-size="size 0"' in layers_chart(rows(MAP), chosen="other")
    assert layers_chart([]) == ""


def test_every_layer_bears_its_own_number() -> None:
    root = parsed(layers_chart(rows(MAP), chosen="size 1", theme=PAPER, numbers=True))
    numbers = [text for text in texts(root) if text.isdigit()]
    assert numbers == [*"01234567", *"01234", *"014567"]


@pytest.mark.parametrize("layers", [24, 80])
def test_many_layers_are_few_bytes(layers: int) -> None:
    found = rows(LayerMap.published(layers))
    assert len(layers_chart(found)) < 500 * len(found)
