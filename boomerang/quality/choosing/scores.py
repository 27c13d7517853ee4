"""What each block costs by itself, and the members that are best if those costs simply add up.

A member keeps some student layers among the teacher's blocks. Its KL is no sum over them, but the
KL of the teacher with one of them alone says which are the dear ones (arXiv 2607.08170 looks at
each block in the same way): where a search begins.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.quality.choosing.search import Judge


@dataclass(frozen=True)
class Scores:
    """KL in nats a token of the teacher with one block replaced, by the student layer's number.

    `student` by the student's layer, `first` by the teacher's own first layer of the block.
    """

    layermap: LayerMap
    student: Mapping[int, float]
    first: Mapping[int, float]

    @classmethod
    def of(cls, judge: Judge) -> "Scores":
        """Measure each block that can be patched, on all of the judge's text."""
        map_ = judge.couple.layermap
        each = {
            choice: {j: _alone(map_, j, choice) for j in map_.long}
            for choice in (Choice.STUDENT, Choice.FIRST)
        }
        found = judge(member for members in each.values() for member in members.values())
        student, first = (
            {j: found[member].kl for j, member in each[choice].items()}
            for choice in (Choice.STUDENT, Choice.FIRST)
        )
        return cls(map_, student, first)

    @property
    def third(self) -> bool:
        """Whether any block is better replaced by the teacher's first layer than by the student's.

        Where none is, that choice is left out of a search.
        """
        return any(self.first[j] < self.student[j] for j in self.layermap.long)

    def members(self) -> list[Composition]:
        """For each depth between student and teacher the member of least summed cost, smallest
        first.
        """
        # By the layers that are added to the student's: the least cost, and which are patched.
        best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
        for j in self.layermap.long:
            step: dict[int, tuple[float, tuple[int, ...]]] = {}
            more, cost = len(self.layermap.blocks[j]) - 1, min(self.student[j], self.first[j])
            for added, (sum_, patched) in best.items():
                for key, way in (
                    (added, (sum_ + cost, patched)),
                    (added + more, (sum_, (*patched, j))),
                ):
                    if key not in step or way < step[key]:
                        step[key] = way
            best = step
        return [self._member(best[added][1]) for added in sorted(best)[1:-1]]

    def _member(self, patched: tuple[int, ...]) -> Composition:
        member = Composition.patched(self.layermap, patched)
        choices = [
            Choice.FIRST if choice is Choice.STUDENT and self._first(j) else choice
            for j, choice in enumerate(member.choices)
        ]
        return Composition.of(self.layermap, choices)

    def _first(self, j: int) -> bool:
        return j in self.first and self.first[j] < self.student[j]


def _alone(map_: LayerMap, j: int, choice: Choice) -> Composition:
    choices = [choice if i == j else Choice.BLOCK for i in range(len(map_.kept))]
    return Composition.of(map_, choices)
