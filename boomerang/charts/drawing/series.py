"""What is drawn: the sizes of a family with a figure each, and rows of any other figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from boomerang.charts.drawing.figures import number, share, share_with_error, with_error


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity that sizes are measured in; `higher` says that more of it is better.

    `bounds` are those of its values; `share` says that it is a part of one, shown in percent.
    """

    name: str
    higher: bool = False
    share: bool = False
    bounds: tuple[float, float] = (0.0, math.inf)

    @property
    def short(self) -> str:
        """Its name without what it is measured in."""
        return self.name.partition(",")[0]

    @property
    def better(self) -> str:
        """Which way is better, in words."""
        return f"{'higher' if self.higher else 'lower'} is better"

    def shown(self, value: float, error: float | None = None) -> str:
        """A value, with its standard error where there is one."""
        form = share_with_error if self.share else with_error
        return form(value, error)

    def tick(self, value: float) -> str:
        """A value in a few letters."""
        return share(value) if self.share else number(value)


PERPLEXITY = Metric("perplexity")
KL = Metric("KL to the teacher, nats a token")
AGREEMENT = Metric("agreement with the teacher", higher=True, share=True, bounds=(0.0, 1.0))
METRICS = {"perplexity": PERPLEXITY, "kl": KL, "agreement": AGREEMENT}
"""Those of held-out text, by the name of a member's field."""


def task_metric(
    task: str, metric: str, *, higher: bool = True, values: Sequence[float] = ()
) -> Metric:
    """The metric of a task of the harness; a share where all its `values` are parts of one."""
    part = all(0 <= value <= 1 for value in values)
    return Metric(f"{task}, {metric}", higher, part, (0.0, 1.0) if part else (-math.inf, math.inf))


@dataclass(frozen=True, slots=True)
class Point:
    """One size: its name, stored parameters, bytes of its tensors, and a figure with its error.

    `value` None is what was not measured. `side` says whose model it is; `dip` that it is worse
    than a smaller one; `url` where it leads.
    """

    name: str
    parameters: int
    bytes: int
    value: float | None
    error: float | None = None
    side: Literal["student", "member", "teacher"] = "member"
    dip: bool = False
    url: str | None = None


def measured(points: Sequence[Point]) -> list[tuple[Point, float]]:
    """Those with a figure that is a number, smallest first."""
    found = [(p, p.value) for p in points if p.value is not None and not math.isnan(p.value)]
    return sorted(found, key=lambda pair: pair[0].parameters)


def dips(points: Sequence[Point], metric: Metric) -> frozenset[str]:
    """The names of the sizes that are worse than a smaller one by more than both errors together.

    Errors are taken as independent: the root of the sum of their squares.
    """
    sign = 1.0 if metric.higher else -1.0
    found, before = set(), list[tuple[Point, float]]()
    for point, value in measured(points):
        for smaller, other in before:
            doubt = math.hypot(point.error or 0.0, smaller.error or 0.0)
            if smaller.parameters < point.parameters and sign * (other - value) > doubt:
                found.add(point.name)
                break
        before.append((point, value))
    return frozenset(found)


def with_dips(points: Sequence[Point], metric: Metric) -> list[Point]:
    """The same sizes, with what `dips` finds marked."""
    found = dips(points, metric)
    return [replace(point, dip=point.name in found) for point in points]


@dataclass(frozen=True, slots=True)
class Series:
    """A row of figures: (x, y, standard error of y or None). `look` is its place in the colours.

    `points` says that nothing joins them, `dashed` that the line is broken, `hollow` that markers
    are rings.
    """

    name: str
    values: Sequence[tuple[float, float, float | None]]
    look: int = 0
    dashed: bool = False
    points: bool = False
    hollow: bool = False
    marks: bool = True
