"""The pictures of a card as SVG: the family's curve, and which layers come from where.

Each is a function of the facts, drawn from what the card's tables say, so that a card that is the
same has the same pictures.
"""

from typing import Literal

from boomerang.card.facts import LAYERS, QUALITY, Facts, Size
from boomerang.card.measured import curve
from boomerang.charts.drawing.series import PERPLEXITY, Point, with_dips
from boomerang.charts.drawing.theme import Theme
from boomerang.charts.layers import Row, layers_chart
from boomerang.charts.quality import quality_chart


def drawings(facts: Facts, theme: Theme) -> dict[str, str]:
    """The SVG of each picture, by the name of its file beside the card."""
    row = Row(facts.size.name, facts.composition)
    found = {LAYERS: layers_chart([row], theme=theme, numbers=True)}
    if curve(facts):
        found[QUALITY] = _quality(facts, theme)
    return found


def _quality(facts: Facts, theme: Theme) -> str:
    """Perplexity of every size by its parameters, this size marked, naive pruning beside."""
    points = [_point(size, "perplexity", facts) for size in curve(facts)]
    naive = [_point(size, "naive_perplexity", facts) for size in curve(facts)]
    return quality_chart(
        with_dips(points, PERPLEXITY),
        metric=PERPLEXITY, naive=naive, chosen=facts.size.name, theme=theme,
    )  # fmt: skip


def _point(size: Size, field: str, facts: Facts) -> Point:
    # As the tables have them: what they do not show changes no picture.
    value, error = getattr(size, field), size.errors.get(field)
    ends: dict[str, Literal["student", "teacher"]] = {
        facts.sizes[0].name: "student",
        facts.sizes[-1].name: "teacher",
    }
    return Point(
        size.name,
        size.parameters,
        bytes=0,
        value=None if value is None else float(f"{value:.4g}"),
        error=float(f"{error:.2g}") if error else None,
        side=ends.get(size.name, "member"),
    )
