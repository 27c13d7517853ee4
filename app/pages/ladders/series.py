"""The figures of a ladder as series: one metric of all sizes, as a curve or in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from boomerang.catalog.records.families import Member
from boomerang.charts.drawing.series import METRICS, Metric, Point, dips, task_metric
from boomerang.family.composition import Choice

NAMES = {"perplexity": "Perplexity", "kl": "KL to the teacher", "agreement": "Agreement"}
_BEST = ("acc_norm", "acc", "exact_match", "pass@1", "mc2", "f1")
"""Of the metrics of a task, the first of these is what people compare."""
_TASK = "task:"
_LOWER = ("perplexity", "bits_per_byte", "brier", "wer", "loss")
"""Parts of the names of metrics of which less is better."""


@dataclass(frozen=True, slots=True)
class Series:
    """A metric of every size that has it: `key` names it in addresses, `name` to people.

    `points` are all sizes, smallest first, `naive` naive pruning to the same depths. The names
    of `worse` are those of the dips.
    """

    key: str
    name: str
    metric: Metric
    points: tuple[Point, ...]
    naive: tuple[Point, ...] = ()
    worse: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether a size has a figure."""
        return any(point.value is not None for point in self.points)

    def shown(self, name: str) -> str | None:
        """The figure of a size as people read it, with its error; None without one."""
        found = next(one for one in self.points if one.name == name)
        return None if found.value is None else self.metric.shown(found.value, found.error)

    def value(self, name: str) -> float | None:
        """The figure of a size; None without one."""
        return next(one.value for one in self.points if one.name == name)

    @property
    def task(self) -> bool:
        """Whether it is a task of the harness, and not of held-out text."""
        return self.key.startswith(_TASK)

    @property
    def short(self) -> str:
        """Its name at the head of a column."""
        return {"kl": "KL"}.get(self.key, self.name if self.task else self.name.lower())


def series_of(members: Sequence[Member]) -> tuple[Series, ...]:
    """Perplexity, KL, agreement, then each task that a size has a figure of, in that order."""
    found = [_held_out(key, name, members) for key, name in NAMES.items()]
    names = sorted({task for member in members for task in member.tasks or {}})
    return (*found, *(_task(task, members) for task in names))


def side_of(member: Member) -> Literal["student", "member", "teacher"]:
    """Whose model a size is."""
    choices, _, ends = member.code.partition("+")
    if set(choices) == {Choice.STUDENT.value}:
        return "student"
    whole = set(choices) == {Choice.BLOCK.value} and set(ends) <= {"t"}
    return "teacher" if whole else "member"


def _held_out(key: str, name: str, members: Sequence[Member]) -> Series:
    metric = METRICS[key]
    points = [_point(one, getattr(one, key), (one.errors or {}).get(key)) for one in members]
    beside = f"naive_{key}"
    naive = [
        _point(one, getattr(one, beside), (one.errors or {}).get(beside))
        for one in members
        if key != "agreement" and side_of(one) == "member"
    ]
    return _series(key, name, metric, points, naive)


def _task(task: str, members: Sequence[Member]) -> Series:
    figures = [_figure((one.tasks or {}).get(task)) for one in members]
    known = [one for one in figures if one is not None]
    called = str(known[0]["metric"]) if known else "no result"
    lower = any(part in called for part in _LOWER)
    values = [float(one["value"]) for one in known]
    metric = task_metric(task, called, higher=not lower, values=values)
    points = [
        _point(member, None, None) if one is None else _point(member, one["value"], one["stderr"])
        for member, one in zip(members, figures, strict=True)
    ]
    return _series(_TASK + task, task, metric, points)


def _figure(result: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The figure of a task's result that people compare; None of one that failed."""
    if not result or result.get("failed"):
        return None
    found = [one for one in result.get("metrics", ()) if isinstance(one.get("value"), int | float)]
    own = [one for one in found if one.get("task") in (None, result.get("name"))] or found
    ranked = sorted(own, key=lambda one: _rank(str(one["metric"])))
    return ranked[0] if ranked else None


def _rank(metric: str) -> int:
    return _BEST.index(metric) if metric in _BEST else len(_BEST)


def _series(
    key: str, name: str, metric: Metric, points: Sequence[Point], naive: Sequence[Point] = ()
) -> Series:
    worse = dips(points, metric)
    marked = tuple(
        Point(one.name, one.parameters, one.bytes, one.value, one.error, one.side,
              one.name in worse, one.url)
        for one in points
    )  # fmt: skip
    return Series(key, name, metric, marked, tuple(naive), worse)


def _point(member: Member, value: float | None, error: float | None) -> Point:
    sound = value is not None and not math.isnan(value)
    return Point(
        member.size,
        member.parameters,
        member.bytes,
        value if sound else None,
        error if sound and error is not None and math.isfinite(error) else None,
        side_of(member),
        url=f"?size={member.size}",
    )
