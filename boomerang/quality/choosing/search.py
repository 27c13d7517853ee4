"""The best member at every depth, each found by itself (order `best`).

The members of a teacher and a student are paths through an acyclic graph: block by block the
student's layer, the teacher's block, or the teacher's first layer alone (arXiv 2607.08170 has the
first two; the third is docs/method.md's). KL to the teacher is no sum over edges, so the search is
a beam over depths with changes of single blocks, judged by measuring.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from torch import Tensor

from boomerang.family.composition import Choice, Composition
from boomerang.modules.couple import Couple
from boomerang.quality.gates import DIP
from boomerang.quality.measure import Quality, measure

SCREEN = 16
"""The part of the text, one in so many windows, on which all others are looked at first."""


@dataclass
class Judge:
    """Measures compositions over windows (W, T + 1), each once.

    `spent` counts what that took, in members measured on all of the text, and `most` is what it
    may come to. `told` is called with both after every member of every batch.
    """

    couple: Couple
    windows: Tensor
    told: Callable[[float, float], None] = lambda spent, most: None
    spent: float = 0.0
    most: float = 0.0
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
        found = measure(self.couple, self._text(whole), new, self._tick()) if new else ()
        for member, quality in zip(new, found, strict=True):
            self._qualities[member.code, whole] = quality
        self.spent += len(new) * self.cost(whole)
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
            cost = 0.0 if (member.code, whole) in self._qualities else self.cost(whole)
            if cost <= left:
                found.append(member)
                left -= cost
        return found

    def _tick(self) -> Callable[[int], None]:
        """What tells of each batch that is measured from now on."""
        done = 0

        def tick(windows: int) -> None:
            nonlocal done
            done += windows
            spent = self.spent + done / len(self.windows)
            self.told(spent, max(spent, self.most))

        return tick

    def _text(self, whole: bool) -> Tensor:
        return self.windows if whole else self.windows[::SCREEN]

    def cost(self, whole: bool) -> float:
        """Of one member, on all of the text or on the screen alone."""
        return len(self._text(whole)) / len(self.windows)


EVALUATIONS = 64
"""What a search may cost: so many members measured on all of the text. Looks count by their part.

A number, not a time: every machine then chooses the same. The search begins where costs that add
up would have it (`scores.py`).
"""
WIDTH = 3
"""Members kept at each depth, and measured on all of the text."""
NEAR = 0.05
"""How much more KL than the lowest is nearly the lowest, as a share."""
ROUNDS = 2
"""How often the best at a depth are changed in single blocks before the next depth."""


@dataclass(frozen=True)
class Searched:
    """One member for each depth, and the depths (in layers) where the budget was not enough."""

    members: list[Composition]
    unfinished: tuple[int, ...]


def search(
    judge: Judge, seeds: Mapping[str, Sequence[Composition]], evaluations: float = EVALUATIONS, *,
    third: bool = True,
) -> Searched:  # fmt: skip
    """One member for each depth of the seeds, from the student to the teacher.

    `seeds` are the ladders already known, the simplest first, and are no part of the budget; a
    depth's answer is never worse than theirs on the text. Every depth may spend an equal part of
    what is left. Without `third` the teacher's own first layer is tried for no block.
    """
    known = _by_depth(member for ladder in seeds.values() for member in ladder)
    depths = sorted(known)
    judge(member for depth in depths[:-1] for member in known[depth])
    beam: list[Composition] = list(known[depths[0]])
    chosen, unfinished, end = [beam[0]], [], judge.spent + evaluations
    judge.most = end + 1
    for at, depth in enumerate(depths[1:-1], start=2):
        budget = (end - judge.spent) / (len(depths) - at)
        beam, finished = _beam(judge, beam, known[depth], depth, budget, third)
        if not finished:
            unfinished.append(depth)
        here = [member for member in beam if len(member.layers) == depth]
        chosen.append(_chosen(judge, chosen[-1], known[depth], here))
    return Searched([*chosen, known[depths[-1]][0]], tuple(unfinished))


def _beam(
    judge: Judge, below: Sequence[Composition], seeds: Sequence[Composition], depth: int,
    budget: float, third: bool,
) -> tuple[list[Composition], bool]:  # fmt: skip
    """The best of a depth: patches of those below, the seeds, then changes of single blocks.

    And whether the budget was enough for all of these.
    """
    end = judge.spent + budget
    patched = [m for member in below for m in _patches(member) if len(m.layers) <= depth]
    # Blocks of more than two layers step over depths: those still below wait for the next one.
    waiting = [member for member in [*below, *patched] if len(member.layers) < depth]
    here = [member for member in patched if len(member.layers) == depth]
    beam, finished = judge.best([*here, *seeds], WIDTH, budget)
    for _ in range(ROUNDS):
        changed = (m for member in beam for m in _changes(member, third))
        again, enough = judge.best([*beam, *changed], WIDTH, end - judge.spent)
        finished = finished and enough
        if again == beam:
            break
        beam = again
    both = beam if all(len(b) <= 2 for b in beam[0].layermap.blocks) else [*beam, *waiting]
    return both, finished


def _chosen(
    judge: Judge, smaller: Composition, seeds: Sequence[Composition], found: Sequence[Composition]
) -> Composition:
    """The member of a depth with the lowest KL, of those that are no dip in perplexity.

    KL alone would take a member that predicts the text worse than the smaller one chosen before
    it; only where every member does, perplexity has no say. Of members whose KL is nearly the
    lowest, one that predicts the text better than the smaller one goes first. A seed that is not
    clearly worse goes before what the search found. Clearly: by more than the standard error of the
    mean difference over the windows. On little text a search finds what fits that text, and a
    simple order holds elsewhere.
    """
    qualities = judge([smaller, *seeds, *found])
    before = qualities[smaller].perplexity
    limits = before, before * (1 + DIP)
    least = min(qualities[m].kl for m in (*seeds, *found))

    def back(member: Composition) -> int:
        """0 for a member that is a step forward, 1 where it is hardly back, 2 for a dip."""
        of = qualities[member]
        if of.perplexity > limits[1]:
            return 2
        return int(of.perplexity > before or of.kl > least * (1 + NEAR))

    def best_of(members: Iterable[Composition]) -> Composition:
        return min(members, key=lambda m: (back(m), qualities[m].kl))

    seed, best = best_of(seeds), best_of([*seeds, *found])
    if any(qualities[seed].perplexity > most >= qualities[best].perplexity for most in limits):
        return best
    pairs = zip(qualities[seed].windows, qualities[best].windows, strict=True)
    gains = [a - b for a, b in pairs]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return best if fmean(gains) > error else seed


def _patches(member: Composition) -> Iterator[Composition]:
    for j in member.layermap.long:
        if member.choices[j] is not Choice.BLOCK:
            yield _with(member, {j: Choice.BLOCK})


def _changes(member: Composition, third: bool) -> Iterator[Composition]:
    """Members of the same depth that differ in one block, or in where one block is patched.

    With a `third` choice for each block, or without.
    """
    blocks, choices = member.layermap.blocks, member.choices
    for j, choice in enumerate(choices):
        if choice is not Choice.STUDENT and (choice is Choice.FIRST or len(blocks[j]) == 1):
            yield _with(member, {j: Choice.STUDENT})
        if choice is Choice.STUDENT and third:
            yield _with(member, {j: Choice.FIRST})
    for i in member.layermap.long:
        for j in member.layermap.long:
            same = len(blocks[i]) == len(blocks[j])
            if same and choices[i] is Choice.BLOCK and choices[j] is not Choice.BLOCK:
                for instead in (Choice.STUDENT, Choice.FIRST)[: 1 + third]:
                    yield _with(member, {i: instead, j: Choice.BLOCK})


def _with(member: Composition, changed: Mapping[int, Choice]) -> Composition:
    choices = [changed.get(j, choice) for j, choice in enumerate(member.choices)]
    return Composition.of(member.layermap, choices)


def _by_depth(members: Iterable[Composition]) -> dict[int, list[Composition]]:
    found: dict[int, list[Composition]] = {}
    for member in dict.fromkeys(members):
        found.setdefault(len(member.layers), []).append(member)
    return found
