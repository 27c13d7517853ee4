"""Runs in processes of their own, and what they found."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import mean, median

from boomerang.processes.json_lines import environment

SIDES = {
    "plain": "plain loop, padded",
    "packed": "packed, one stream",
    "apart": "packed, documents apart",
}
"""What the losses are compared of."""


@dataclass(frozen=True)
class Result:
    """One timed run: tokens of documents each second, all tokens each second, peak in 10⁶ bytes."""

    useful_tokens_per_s: float
    tokens_per_s: float
    peak_mb: float


@dataclass(frozen=True)
class Side:
    """One contender: its command, and a result of each round."""

    title: str
    command: list[str]
    results: list[Result] = field(default_factory=list)

    @property
    def useful(self) -> float:
        """Median of useful tokens each second."""
        return median(result.useful_tokens_per_s for result in self.results)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest useful tokens each second."""
        rates = [result.useful_tokens_per_s for result in self.results]
        return min(rates), max(rates)

    @property
    def every(self) -> float:
        """Median of tokens each second, padding and ends of text included."""
        return median(result.tokens_per_s for result in self.results)

    @property
    def memory(self) -> float:
        """Median of the peak memory, in MB."""
        return median(result.peak_mb for result in self.results)


def run(command: list[str]) -> Result:
    """Run one contender, whose last line of output is JSON."""
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
    found = json.loads(told.stdout.splitlines()[-1])
    every = found.get("tokens_per_s", found.get("padded_tokens_per_s"))
    # A loop that is no part of this project tells MiB.
    unit = 1.0 if "tokens_per_s" in found else 1.048576
    return Result(found["useful_tokens_per_s"], every, found["peak_mb"] * unit)


@dataclass(frozen=True)
class Point:
    """A student after so many useful tokens: held-out cross-entropy, means over the seeds."""

    tokens: float
    seconds: float
    alone: float
    packed: float


@dataclass(frozen=True)
class Curves:
    """The points of each side, and the last ones of each seed."""

    points: dict[str, list[Point]]
    ends: dict[str, list[Point]]

    @classmethod
    def measured(cls, seeds: Iterable[int], steps: int, say: Callable[[str], None]) -> "Curves":
        """Train every side with every seed."""
        found: dict[str, list[list[Point]]] = {side: [] for side in SIDES}
        for seed in seeds:
            for side in SIDES:
                say(f"losses, seed {seed}, {side}")
                found[side].append(_curve(side, seed, steps))
        means = {
            side: [_mean(rows) for rows in zip(*runs, strict=True)] for side, runs in found.items()
        }
        return cls(means, {side: [points[-1] for points in runs] for side, runs in found.items()})


def _curve(side: str, seed: int, steps: int) -> list[Point]:
    module = [sys.executable, "-m", "benchmarks.distillation.curve"]
    told = subprocess.run(
        [*module, side, str(seed), str(steps)], check=True, stdout=subprocess.PIPE, text=True
    )
    return [Point(**json.loads(line)) for line in told.stdout.splitlines()]


def _mean(points: Iterable[Point]) -> Point:
    rows = [(p.tokens, p.seconds, p.alone, p.packed) for p in points]
    return Point(*(mean(column) for column in zip(*rows, strict=True)))
