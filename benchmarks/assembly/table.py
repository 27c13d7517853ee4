"""What was measured, as a table and as a picture."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.assembly.runs import Contender
from boomerang.charts.bars import Bar, bars_chart
from boomerang.charts.drawing.theme import paper
from boomerang.charts.sheet import sheet


@dataclass(frozen=True)
class Line:
    """One contender, summed up. Seconds, bytes; ratios are medians over the rounds.

    `ratio` is of the whole command, `beyond` of what it takes more than for a toy, to a copy that
    does as much.
    """

    title: str
    rounds: int
    seconds: float
    ratio: float | None
    beyond: float | None
    memory: int
    first_byte: float | None
    why_not: str = ""


def lines(contenders: Mapping[str, Contender]) -> list[Line]:
    """Sum up: medians, and the ratios to `cp` in pairs of the same round."""
    return [_line(one, contenders) for one in contenders.values()]


def _line(one: Contender, others: Mapping[str, Contender]) -> Line:
    if one.why_not or not one.samples:
        return Line(one.title, 0, 0, None, None, 0, None, one.why_not or "not run")
    base = others[one.against].samples if one.against else []
    pairs = list(zip(one.samples, base, strict=False))
    start = others[one.start].samples if one.start else []
    less = median(sample.seconds for sample in start) if start else 0.0
    alike = zip(one.samples, others[one.like].samples if start else [], strict=False)
    beyond = [(sample.seconds - less) / of_like.seconds for sample, of_like in alike]
    first = [sample.first_byte for sample in one.samples if sample.first_byte is not None]
    return Line(
        one.title,
        len(one.samples),
        median(sample.seconds for sample in one.samples),
        median(sample.seconds / of_base.seconds for sample, of_base in pairs) if pairs else None,
        median(beyond) if beyond else None,
        max(sample.memory for sample in one.samples),
        median(first) if first else None,
    )


def markdown(found: Sequence[Line], size: int) -> str:
    """The table; `size` is that of the file that is made, in bytes."""
    rows = [
        "| | rounds | time, s | GB/s | ÷ `cp` | beyond its start ÷ like copy | peak memory, MB "
        "| first byte, ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for line in found:
        if line.why_not:
            rows.append(f"| {line.title} | – | {line.why_not} | | | | | |")
            continue
        cells = [
            line.title, str(line.rounds), f"{line.seconds:.3f}",
            "" if line.ratio is None else f"{size / line.seconds / 1e9:.2f}",
            "" if line.ratio is None else f"{line.ratio:.2f}",
            "" if line.beyond is None else f"{line.beyond:.2f}",
            f"{line.memory / 1e6:.0f}",
            "" if line.first_byte is None else f"{line.first_byte * 1000:.1f}",
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def machine(folder: Path) -> str:
    """What it ran on, without names: processors, memory, kernel, file system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    where = max((m for m in mounts if folder.is_relative_to(m[1])), key=lambda m: len(m[1]))
    kernel = ".".join(os.uname().release.split(".")[:2])
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Linux {kernel}, {where[2]}"


def picture(found: Sequence[Line], path: Path, title: str) -> None:
    """Time and memory as bars."""
    from boomerang.charts.raster import png

    shown = [line for line in found if line.ratio is not None]
    charts = [
        _bars(shown, "seconds", lambda line: line.seconds, "{:.2f}"),
        _bars(shown, "peak memory, MB", lambda line: line.memory / 1e6, "{:,.0f}"),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(sheet([charts], title), zoom=1.5))


def _bars(shown: Sequence[Line], title: str, value: Callable[[Line], float], form: str) -> str:
    bars = [
        Bar(name := line.title.replace("`", ""), value(line), form.format(value(line)),
            ours="boomerang" in name)
        for line in shown
    ]  # fmt: skip
    return bars_chart(bars, title=title, said="less is better", theme=paper(640))
