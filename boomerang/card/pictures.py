"""The pictures of a published card as PNG.

What makes PNG of a drawing is loaded with this module, which no front end needs.
"""

from boomerang.card.drawings import drawings
from boomerang.card.facts import Facts
from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.raster import png


def pictures(facts: Facts) -> dict[str, bytes]:
    """The PNG files of a card by their names beside it."""
    return {name: png(drawn) for name, drawn in drawings(facts, PAPER).items()}
