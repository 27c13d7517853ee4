"""From SVG to PNG: the same bytes on every machine, as the letters come from here too."""

from importlib import resources

import resvg_py

from boomerang.charts.drawing.theme import FONT

SHARP = 2
"""Pixels of a picture for each that its drawing names."""


def png(svg: str, zoom: float = SHARP) -> bytes:
    """A drawing on paper as a picture, `zoom` times as wide and as high as it says.

    The same drawing gives the same bytes: no font of the machine is looked at.
    Raises ValueError for what is no SVG.
    """
    fonts = resources.files("boomerang.charts").joinpath("fonts")
    with resources.as_file(fonts) as folder:
        found = [str(path) for path in sorted(folder.glob("*.ttf"))]
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg,
                zoom=zoom,
                skip_system_fonts=True,
                font_files=found,
                font_family=FONT,
                sans_serif_family=FONT,
            )
        )
