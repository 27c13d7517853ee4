"""How long a distillation would take, and what that costs: an estimate, and what it stands on."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from boomerang.catalog.catalog import Catalog
from boomerang.family.ladder import Ladder
from boomerang.recipes.recipe import Recipe
from boomerang.service.settings import Settings

PEAK: Mapping[str, float] = {"RTX 4090": 165e12, "A100": 312e12, "H100": 989e12}
"""FLOP/s in bfloat16 without sparsity, by the makers' data sheets."""
SHARE = 0.3
"""The part of them that is reckoned with. Training of large dense models reports 0.4 to 0.5 (PaLM,
arXiv 2204.02311, table 3); a step here also has wide losses and passes through other layers."""
ALIKE = 8
"""How many times more or less work a token may be for an earlier run to say something of this."""
RECENT = 5
"""The earlier runs that are looked at, the latest first."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds of a distillation, between `least` and `most`, by what is known.

    `by` is `recipe` where that says how long, `here` where it is the speed of `runs` earlier
    distillations of this installation, `devices` where it is that of one of `devices`. `price` is
    what an hour costs, with its currency.
    """

    by: Literal["recipe", "here", "devices"]
    least: float
    most: float
    usual: float | None = None
    runs: int = 0
    devices: tuple[tuple[str, float], ...] = ()
    price: tuple[float, str] | None = None

    def json(self) -> dict[str, Any]:
        """As JSON."""
        cost = None
        if self.price is not None:
            hour, currency = self.price
            cost = {
                "least": round(self.least / 3600 * hour, 2),
                "most": round(self.most / 3600 * hour, 2),
                "currency": currency,
            }
        return {
            "by": self.by,
            "seconds": self.usual,
            "least": self.least,
            "most": self.most,
            "runs": self.runs,
            "devices": [{"name": name, "seconds": seconds} for name, seconds in self.devices],
            "cost": cost,
        }


def work_a_token(student: int, teacher: int) -> int:
    """FLOPs that a token takes: 6 for each parameter trained, 2 for each of the teacher's pass.

    Kaplan et al. 2020 (arXiv 2001.08361), section 2.1.
    """
    return 6 * student + 2 * teacher


def effort_of(
    settings: Settings, catalog: Catalog, ladder: Ladder, recipe: Recipe | None
) -> Effort | None:
    """How long distilling by a recipe would take; None where nothing is to be distilled."""
    if recipe is None:
        return None
    price = _price(settings.hour_cost)
    if recipe.steps is None:
        seconds = 60 * (recipe.minutes or 0.0)
        return Effort("recipe", seconds, seconds, usual=seconds, price=price)
    each = work_a_token(ladder.student.parameters, ladder.teacher.parameters)
    flops = recipe.steps * recipe.batch_tokens * each
    speeds = [
        speed.tokens_per_s * work
        for speed in catalog.speeds(RECENT)
        if each / ALIKE <= (work := work_a_token(speed.student, speed.teacher)) <= each * ALIKE
    ]
    if speeds:
        return Effort(
            "here", flops / max(speeds), flops / min(speeds), usual=flops / median(speeds),
            runs=len(speeds), price=price,
        )  # fmt: skip
    devices = tuple((name, flops / (SHARE * peak)) for name, peak in PEAK.items())
    took = [seconds for _, seconds in devices]
    return Effort("devices", min(took), max(took), devices=devices, price=price)


def _price(hour: str) -> tuple[float, str] | None:
    """What an hour of distilling costs, and in which currency, where that is known."""
    amount, _, currency = hour.partition(" ")
    return (float(amount), currency) if currency else None
