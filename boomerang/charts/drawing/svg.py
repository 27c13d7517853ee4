"""Elements of SVG as text: escaped, and the same bytes for the same facts.

A chart is as wide as its place and as high as it says. Along x everything is placed in percent of
the width, so that one drawing fits a phone and a card: letters and dots keep their size, and only
lines are stretched (`stretched`).
"""

import re
from xml.sax.saxutils import escape

_QUOTE = {'"': "&quot;"}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML has, in whatever way they are written (XML 1.0, 2.2)."""


def tag(name: str, *inner: str, **attributes: object) -> str:
    """An element around `inner`, which is SVG already; attributes that are None are left out.

    A trailing underscore of an attribute's name is dropped (`class_`), others become hyphens.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = "".join(inner)
    return f"<{name}{said}>{body}</{name}>" if body else f"<{name}{said}/>"


def words(text: str) -> str:
    """Text as an element's content."""
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))


def short(value: float) -> str:
    """A coordinate to a hundredth, without what says nothing."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(share: float) -> str:
    """A share of the width or of the height."""
    return short(100 * share) + "%"


def label(text: str, **attributes: object) -> str:
    """A line of text."""
    return tag("text", words(text), **attributes)


def at(x: float, y: float, *inner: str, **attributes: object) -> str:
    """What is drawn in pixels around a place that is given in shares of width and height."""
    return tag("svg", *inner, x=percent(x), y=percent(y), overflow="visible", **attributes)


def stretched(wide: float, high: float, *inner: str, **place: object) -> str:
    """What is drawn in a box of this size and pulled to that of its place."""
    box = {"viewBox": f"0 0 {short(wide)} {short(high)}", "preserveAspectRatio": "none"}
    return tag("svg", *inner, **place, **box, overflow="visible")


def _value(value: object) -> str:
    if isinstance(value, float):
        return short(value)
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value)), _QUOTE)
