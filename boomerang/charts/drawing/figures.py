"""Figures as people read them: to digits that say something, with their errors."""

import math
from collections.abc import Sequence


def number(value: float | None) -> str:
    """Four digits, or all before the point of what is larger; nothing of nothing."""
    if value is None:
        return ""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def with_error(value: float | None, error: float | None) -> str:
    """A figure and its standard error, to the second digit of that: 18.25 ± 0.12.

    The spaces break no line.
    """
    if value is None or not error or not math.isfinite(error):
        return number(value)
    digits = max(0, min(6, 1 - exponent(error)))
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.{digits}f}"


def exponent(value: float) -> int:
    """The power of ten of a figure's first digit."""
    return int(f"{value:e}".partition("e")[2])


def large(value: float) -> str:
    """A count to three digits: 8.19M."""
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "K")):
        if value >= 10**power:
            return f"{value / 10**power:.3g}{letter}"
    return f"{value:.4g}"


def share(value: float) -> str:
    """A part of one in percent."""
    return f"{100 * value:.3g} %"


def share_with_error(value: float, error: float | None) -> str:
    """A part of one and its standard error, in percent: 71.2 ± 0.4 %."""
    if not error or not math.isfinite(error):
        return share(value)
    return with_error(100 * value, 100 * error) + "\N{NO-BREAK SPACE}%"


def tick_labels(ticks: Sequence[float], *, percent: bool = False) -> tuple[str, ...]:
    """What stands at ticks: with as few digits as tell them apart."""
    factor, unit = (100, " %") if percent else (1, "")
    shown = [tick * factor for tick in ticks]
    for digits in range(1, 14):
        found = tuple(_plain(value, digits) + unit for value in shown)
        exact = all(_near(value, digits) for value in shown)
        if exact and len(set(found)) == len(found):
            break
    return found


def _near(value: float, digits: int) -> bool:
    return math.isclose(float(f"{value:.{digits}g}"), value, rel_tol=1e-9, abs_tol=1e-300)


def _plain(value: float, digits: int) -> str:
    size = abs(value)
    if size >= 1e15 or (value and size < 1e-4):
        return f"{value:.{digits}g}"
    if size >= 1e4:
        sign = "−" if value < 0 else ""
        return sign + _counted(size, digits)
    # 20 and not 2e+01, and no digit that is not there.
    text = f"{float(f'{value:.{digits}g}'):.12f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def _counted(size: float, digits: int) -> str:
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "K")):
        if size >= 10**power:
            text = f"{float(f'{size / 10**power:.{digits}g}'):.12f}".rstrip("0").rstrip(".")
            return text + letter
    return f"{size:g}"
