"""How the parts of a chart look: by classes on a page, by fixed colours on paper.

A role (`curve`, `grid`, …) is a name of CSS on a page, where the style sheet knows of light and
dark, and a handful of attributes in a picture that has its own paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass

INK, SOFT, WHITE, ACCENT, NAIVE = "#1c2430", "#5b6675", "#ffffff", "#b4541a", "#7a8798"
"""Those of the pages' light side: a picture has its own paper, on a dark page too."""
PALE, GRID, WARN = "#f3d9c4", "#e6eaef", "#a51d2d"
SERIES = ("#b4541a", "#2f6f9f", "#3d7f53", "#7a5aa6", "#7a8798", "#b0851b", "#b0405c", "#1c2430")
"""Of many series; the first is the accent, the fifth the gray of what is compared with."""
FONT = "DejaVu Sans"


@dataclass(frozen=True, slots=True)
class Theme:
    """The looks of roles; without any (`paints` None) each is a class of its name.

    `width` is that of the picture in pixels; None is as wide as its place.
    """

    paints: Mapping[str, Mapping[str, str]] | None = None
    width: int | None = None

    def __call__(self, role: str) -> dict[str, str]:
        """The attributes of a part; a role that has no look of its own has none."""
        if self.paints is None:
            return {"class_": role}
        return dict(self.paints.get(role.split(" ")[0], {}))

    @property
    def interactive(self) -> bool:
        """Whether points lead somewhere and can be pointed at."""
        return self.paints is None

    @property
    def drawn(self) -> int:
        """The width that lines are drawn for; where there is none they are pulled to it."""
        return self.width or 1000


def _text(colour: str, size: int = 12, **more: str) -> dict[str, str]:
    return {"fill": colour, "font_size": str(size), **more}


def _line(colour: str, width: float, **more: str) -> dict[str, str]:
    ends = {"stroke_linejoin": "round", "stroke_linecap": "round"}
    return {"fill": "none", "stroke": colour, "stroke_width": f"{width:g}", **ends, **more}


_BUTT = {"stroke_linecap": "butt"}
_HALO = {"stroke": WHITE, "stroke_width": "3", "stroke_linejoin": "round", "paint_order": "stroke"}
_PAINTS: dict[str, dict[str, str]] = {
    "paper": {"fill": WHITE},
    "grid": _line(GRID, 1),
    "axis": _line("#c3cad3", 1),
    "tick": _text(SOFT),
    "title": _text(INK, 13, font_weight="bold"),
    "better": _text(SOFT, 12, font_weight="normal"),
    "said": _text(SOFT, 12, **_HALO),
    "strong": _text(INK, 12, font_weight="bold", **_HALO),
    "gain": {"fill": ACCENT, "fill_opacity": "0.07"},
    "band": {"fill": "#8090a5", "fill_opacity": "0.07"},
    "edge": _line("#aab4c0", 1, stroke_dasharray="2 3"),
    "curve": _line(ACCENT, 2.25),
    "naive": _line(NAIVE, 1.75, stroke_dasharray="6 4"),
    "raw": _line(ACCENT, 1, stroke_opacity="0.3"),
    "dot": {"fill": ACCENT, "stroke": WHITE, "stroke_width": "1.5"},
    "end": {"fill": WHITE, "stroke": ACCENT, "stroke_width": "2.25"},
    "other": {"fill": NAIVE, "stroke": WHITE, "stroke_width": "1"},
    "dip": {"fill": WHITE, "stroke": WARN, "stroke_width": "2"},
    "warn": _text(WARN, 11),
    "error": _line(ACCENT, 3, stroke_opacity="0.4"),
    "doubt": _line(NAIVE, 3, stroke_opacity="0.4"),
    "ring": _line(INK, 1.75),
    "teachers": _line(ACCENT, 20, **_BUTT),
    "students": _line("#f0cfb5", 20, **_BUTT),
    "within": _text(WHITE, 10),
    "upon": _text(INK, 10),
    "bar0": {"fill": ACCENT},
    "bar1": {"fill": "#a9b3bf"},
}
for _index, _colour in enumerate(SERIES):
    _PAINTS[f"s{_index}"] = _line(_colour, 2)
    _PAINTS[f"d{_index}"] = _line(_colour, 1.75, stroke_dasharray="6 4")
    _PAINTS[f"m{_index}"] = {"fill": _colour, "stroke": WHITE, "stroke_width": "1.25"}
    _PAINTS[f"o{_index}"] = {"fill": "none", "stroke": _colour, "stroke_width": "1.75"}
    _PAINTS[f"e{_index}"] = _line(_colour, 3, stroke_opacity="0.35")

PAGE = Theme()
"""On a page: classes, coloured by its style sheet, as wide as its place."""
PAPER = Theme(_PAINTS, 720)
"""In a picture: fixed colours on white."""


def paper(width: int) -> Theme:
    """Paper of another width in pixels."""
    return Theme(_PAINTS, width)
