"""A student that begins as a member of its teacher's family: what healing trains.

The member's layers and ends are copied out of teacher and student, so that all of them can be
trained beside a teacher that stays as it is.
"""

from dataclasses import dataclass
from pathlib import Path

from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import Heal
from boomerang.family.composition import Composition, Side, composition_of
from boomerang.family.healed import healed_pair
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.modules.load import load


@dataclass(frozen=True)
class Healing:
    """A member of the family that `base` makes, whose student lies in a folder."""

    base: Pair
    composition: Composition
    folder: Path

    @classmethod
    def open(cls, teacher: Checkpoint, heal: Heal) -> "Healing":
        """From headers, embeddings compared. Raises as `Pair.of`, and BadComposition."""
        base = Pair.of(teacher, Checkpoint.open(heal.student), kept=heal.kept)
        return cls(base, composition_of(base.layermap, heal.code), heal.student)

    def pair(self, *, freezes: bool) -> Pair:
        """The teacher and what is made of the member. Raises as `healed_pair`."""
        return healed_pair(self.base, self.composition, freezes=freezes)

    def begin(self, student: Causal) -> None:
        """Give a student that begins as its teacher's layers what the member has of the other."""
        composition = self.composition
        if Side.STUDENT not in composition.sides:
            return
        other = load(self.folder, dtype=None)
        for mine, layer in zip(student.layers, composition.layers, strict=True):
            if layer.side is Side.STUDENT:
                mine.load_state_dict(other.layers[layer.index].state_dict())
        for side, theirs, ours in (
            (composition.embeddings, other.embeddings, student.embeddings),
            (composition.norm, [other.last_norm], [student.last_norm]),
            (composition.head, [other.model.lm_head], [student.model.lm_head]),
        ):
            if side is Side.STUDENT:
                for of, to in zip(theirs, ours, strict=True):
                    to.load_state_dict(of.state_dict())
