"""What happens when, drawn from a seed: faults, and what clients ask meanwhile."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

ROLES = ("build", "publish", "cancel and ask again", "cancel", "delete", "rebuild")
"""What a client does with a family, one after another."""
PROXIES = ("redis", "postgres", "hub")
WORKERS = ("worker 1", "worker 2", "worker 3")

_KILLED = ("trainer", "trainer", *WORKERS, "front end", "redis", "postgres")
_FROZEN = ("trainer", *WORKERS, "front end")
_HUB = ("status 500", "status 429", "status 503", "cut", "lost")
_KINDS: dict[str, tuple[int, tuple[str, ...], tuple[float, float]]] = {
    "kill": (30, _KILLED, (0.2, 3.0)),
    "freeze": (18, _FROZEN, (0.5, 6.0)),
    "cut": (14, PROXIES, (0.0, 0.0)),
    "refuse": (8, PROXIES, (0.5, 4.0)),
    "slow": (8, PROXIES, (0.5, 4.0)),
    "hold": (6, PROXIES, (0.5, 5.0)),
    "answer": (8, _HUB, (0.0, 0.0)),
    "fill": (4, ("disk",), (0.5, 3.0)),
    "set": (4, ("clock",), (1.0, 5.0)),
}
"""Faults by kind: how often, what they strike, and for how many seconds."""


@dataclass(frozen=True, order=True)
class Fault:
    """A fault at `at` seconds, for so many; of a clock `amount` is by how much it is wrong."""

    at: float
    number: int
    kind: str
    target: str
    seconds: float
    amount: int = 0

    def __str__(self) -> str:
        wrong = f" by {self.amount:+d} s" if self.kind == "set" else ""
        what = f"{self.kind} {self.target}{wrong} ({self.seconds:.1f} s)"
        return f"{self.at:7.1f} s  #{self.number:<3} {what}"


@dataclass(frozen=True, order=True)
class Visit:
    """A client that comes at `at` seconds and does with family `seed` what its role says."""

    at: float
    seed: int
    role: str
    steps: int
    pause: float

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  family {self.seed}: {self.role} ({self.steps} steps)"


def faults(seed: int, many: int, spacing: float) -> tuple[Fault, ...]:
    """So many faults, a new one every `spacing` seconds on average."""
    draw, at, found = random.Random(f"faults {seed}"), 0.0, []
    kinds, weights = list(_KINDS), [weight for weight, _, _ in _KINDS.values()]
    for number in range(many):
        at += draw.uniform(0.3, 1.7) * spacing
        (kind,) = draw.choices(kinds, weights)
        _, targets, (least, most) = _KINDS[kind]
        target, seconds = draw.choice(targets), round(draw.uniform(least, most), 1)
        amount = draw.choice((-86400, -600, 600, 3600, 86400)) if kind == "set" else 0
        found.append(Fault(round(at, 1), number, kind, target, seconds, amount))
    return tuple(found)


def visits(seed: int, over: float, every: float) -> Iterator[Visit]:
    """A client every so many seconds as long as there are faults, each role in turn."""
    draw, at, number = random.Random(f"visits {seed}"), 0.0, 0
    while at < over or number < len(ROLES):
        role, steps = ROLES[number % len(ROLES)], draw.randrange(40, 120)
        yield Visit(round(at, 1), seed * 1000 + number, role, steps, round(draw.uniform(0, 4), 1))
        at, number = at + draw.uniform(0.6, 1.4) * every, number + 1
