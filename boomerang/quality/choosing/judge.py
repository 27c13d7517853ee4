"""Members measured as a search asks for them, each once, and what that cost."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from boomerang.family.composition import Composition
from boomerang.modules.couple import Couple
from boomerang.quality.measure import Quality, measure

SCREEN = 16
"""The part of the text, one in so many windows, on which all others are looked at first."""


@dataclass
class Judge:
    """Measures compositions over windows (W, T + 1), each once.

    `spent` counts what that took, in members measured on all of the text.
    """

    couple: Couple
    windows: Tensor
    tick: Callable[[], None] = lambda: None
    spent: float = 0.0
    _qualities: dict[tuple[str, bool], Quality] = field(default_factory=dict)

    @property
    def measured(self) -> int:
        """How many members were measured on all of the text."""
        return sum(whole for _, whole in self._qualities)

    def __call__(
        self, members: Iterable[Composition], *, whole: bool = True
    ) -> dict[Composition, Quality]:
        """The quality of each, on all of the text or on the screen alone."""
        unique = list(dict.fromkeys(members))
        new = [member for member in unique if (member.code, whole) not in self._qualities]
        for member, quality in zip(
            new, measure(self.couple, self._text(whole), new, self.tick) if new else (), strict=True
        ):
            self._qualities[member.code, whole] = quality
        self.spent += len(new) * self._cost(whole)
        return {member: self._qualities[member.code, whole] for member in unique}

    def best(
        self, members: Iterable[Composition], count: int, budget: float = math.inf
    ) -> tuple[list[Composition], bool]:
        """The `count` of lowest KL, and whether the budget was enough to look at all of them.

        All are screened first, for half of the budget at most; twice as many as are wanted are
        then measured on all of the text. What is known costs nothing.
        """
        unique, began = list(dict.fromkeys(members)), self.spent
        looked = self._affordable(unique, budget / 2, whole=False)
        screened = self(looked, whole=False)
        wanted = sorted(looked, key=lambda member: screened[member].kl)[: 2 * count]
        some = self._affordable(wanted, budget - (self.spent - began), whole=True)
        known = [member for member in unique if (member.code, True) in self._qualities]
        found = self([*some, *known])
        ranked = sorted(found, key=lambda member: found[member].kl)
        return ranked[:count], len(looked) == len(unique) and len(some) == len(wanted)

    def _affordable(
        self, members: Sequence[Composition], budget: float, *, whole: bool
    ) -> list[Composition]:
        """Those that are known, and of the others as many of the first as the budget is for."""
        left, found = budget, []
        for member in members:
            cost = 0.0 if (member.code, whole) in self._qualities else self._cost(whole)
            if cost <= left:
                found.append(member)
                left -= cost
        return found

    def _text(self, whole: bool) -> Tensor:
        return self.windows if whole else self.windows[::SCREEN]

    def _cost(self, whole: bool) -> float:
        return len(self._text(whole)) / len(self.windows)
