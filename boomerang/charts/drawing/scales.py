"""From values to places: scales that are linear or logarithmic, and ticks that people count in."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 1e300
"""Values beyond it are placed as if they were it, so that a span is a number."""
LOG_FROM = 4.0
"""Values that differ by more than this factor are drawn logarithmically."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`; both are positive where it is logarithmic."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, from 0 at `low` to 1 at `high`; what lies outside is at the end.

        Zero and less are at the lower end of a logarithmic scale. NaN is at the lower end.
        """
        if math.isnan(value) or not self.takes(value):
            return 0.0
        return min(1.0, max(0.0, self.beyond(value)))

    def takes(self, value: float) -> bool:
        """Whether there is a place for such a value: a logarithm has none for zero and less."""
        return value > 0 or not self.log

    def beyond(self, value: float) -> float:
        """Where a value stands, or would: less than 0 below `low`, more than 1 above `high`."""
        low, high, here = (self._of(x) for x in (self.low, self.high, value))
        return (here - low) / (high - low)

    def ticks(self, most: int = 5) -> tuple[float, ...]:
        """Round values within the scale, at most `most` of them where there is a choice."""
        found = _log_ticks(self.low, self.high, most) if self.log else ()
        return found if len(found) > 2 else _linear_ticks(self.low, self.high, most)

    def _of(self, value: float) -> float:
        value = min(MOST, max(-MOST, value))
        return math.log10(value) if self.log else value


def scale_of(
    values: Iterable[float],
    *,
    log: bool | None = None,
    pad: float = 0.1,
    within: tuple[float, float] | None = None,
) -> Scale:
    """The scale on which these values have room: `pad` of their span below and above.

    `log` None chooses: logarithmic where the positive values differ by more than a factor of four
    and none is negative. Infinities and NaN say nothing; without any value it runs from 0 to 1.
    `within` are the bounds that the quantity itself has.
    """  # fmt: skip
    finite = [min(MOST, max(-MOST, value)) for value in values if math.isfinite(value)]
    if not finite:
        return Scale(0.0, 1.0)
    above = [value for value in finite if value > 0]
    if log is None:
        log = bool(above) and min(finite) >= 0 and max(above) > LOG_FROM * min(above)
    if log and above:
        return _log_scale(min(above), max(above), pad)
    low, high = min(finite), max(finite)
    room = pad * (high - low) if low < high else 0.1 * abs(high) or 0.5
    low, high = low - room, high + room
    if within:
        # Whatever the bounds say, what was measured has its place.
        low = max(low, min(within[0], min(finite)))
        high = min(high, max(within[1], max(finite)))
    if not low < high or high - low < 1e-290:
        low, high = low - 0.5, high + 0.5
    return Scale(low, high)


def _log_scale(low: float, high: float, pad: float) -> Scale:
    span = math.log10(high) - math.log10(low)
    room = pad * span if span else 0.15
    # As far as floats reach.
    ends = max(-305.0, math.log10(low) - room), min(305.0, math.log10(high) + room)
    return Scale(10 ** ends[0], 10 ** ends[1], log=True)


def _linear_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * factor for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first + 1 <= most:
            break
    # Where a float cannot tell neighbours apart, equal ones are one.
    found = dict.fromkeys(
        float(f"{index * step:.12g}") for index in range(first, min(last, first + most) + 1)
    )
    return tuple(tick for tick in found if low <= tick <= high)


def _log_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [float(f"{f}e{p}") for p in range(first, last + 1) for f in factors]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) <= most + 1:
            return tuple(found)
    return tuple(found[:: math.ceil(len(found) / most)])
