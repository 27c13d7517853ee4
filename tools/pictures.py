"""The picture of the README: `python -m tools.pictures`.

It is drawn from the table that the README itself shows, by the code that draws cards and pages, so
that neither says what the other does not.
"""

import re
from pathlib import Path

from boomerang.charts.drawing.series import PERPLEXITY, Point, with_dips
from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.quality import quality_chart
from boomerang.charts.raster import png

ROOT = Path(__file__).parents[1]
README, PICTURE = ROOT / "README.md", ROOT / "docs" / "images" / "family.png"
_ROW = re.compile(
    r"^  (?P<size>[\d.]+[KMBT]) +[■□◧]+ +\d+ +(?P<parameters>[\d,]+) +(?P<perplexity>[\d.]+)"
    r" +[\d.]+ +(?P<naive>[\d.]+|–)",
    re.MULTILINE,
)


def family(readme: str) -> tuple[list[Point], list[Point]]:
    """The sizes of the README's table in perplexity, and naive pruning at the same depths."""
    rows = list(_ROW.finditer(readme))
    ends = {0: "student", len(rows) - 1: "teacher"}
    ours, naive = list[Point](), list[Point]()
    for at, row in enumerate(rows):
        parameters = int(row["parameters"].replace(",", ""))
        of = {"name": row["size"], "parameters": parameters, "bytes": 0}
        ours.append(Point(**of, value=float(row["perplexity"]), side=ends.get(at, "member")))
        if row["naive"] != "–":
            naive.append(Point(**of, value=float(row["naive"])))
    return with_dips(ours, PERPLEXITY), naive


def picture(readme: str) -> bytes:
    """The curve of the README's family, the size that its budget bought marked, as PNG."""
    ours, naive = family(readme)
    bought = re.search(r" buys ([\d.]+[KMBT])", readme)
    return png(
        quality_chart(
            ours, metric=PERPLEXITY, naive=naive, theme=PAPER, height=230,
            chosen=bought[1] if bought else None,
        )
    )  # fmt: skip


if __name__ == "__main__":
    PICTURE.write_bytes(picture(README.read_text("utf-8")))
