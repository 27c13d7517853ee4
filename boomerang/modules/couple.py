"""Teacher and student as modules, and members of their family put together by reference.

A forward pass is written out over the modules of transformers (embeddings, layers with mask and
rotary positions, norm, head), so that a pass may take each layer from either model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from boomerang.errors import StudentMismatch
from boomerang.family.composition import Choice, Composition, Side
from boomerang.family.layer_map import LayerMap
from boomerang.modules.causal import Causal, Context


@dataclass(frozen=True)
class Trace:
    """One pass: embeddings, the output of each block, and the final output after the norm.

    All are (B, T, width); `ends` has one for each student layer.
    """

    embeddings: Tensor
    ends: tuple[Tensor, ...]
    final: Tensor


@dataclass(frozen=True)
class Couple:
    """A teacher, its student and the layer map between them, in memory."""

    teacher: Causal
    student: Causal
    layermap: LayerMap
    recompute: bool = False
    """Whether each block's activations are made again in the backward pass, instead of kept."""

    def side(self, side: Side) -> Causal:
        """The model of that side."""
        return self.teacher if side is Side.TEACHER else self.student

    def step(self, composition: Composition, j: int, hidden: Tensor, context: Context) -> Tensor:
        """Hidden states through what stands in the place of block `j`."""
        choice, block = composition.choices[j], self.layermap.blocks[j]
        if choice is Choice.STUDENT:
            return self.student.layer(j, hidden, context)
        for index in block if choice is Choice.BLOCK else block[:1]:
            hidden = self.teacher.layer(index, hidden, context)
        return hidden

    def walk(
        self, composition: Composition, hidden: Tensor, context: Context, start: int = 0
    ) -> Iterator[Tensor]:
        """The hidden states after each block from `start` on."""
        for j in range(start, len(composition.choices)):
            step = (composition, j, hidden, context)
            again = self.recompute and torch.is_grad_enabled()
            hidden = (
                checkpoint(self.step, *step, use_reentrant=False) if again else self.step(*step)
            )
            yield hidden

    def trace(
        self, composition: Composition, ids: Tensor, teacher: Trace | None = None,
        positions: Tensor | None = None,
    ) -> Trace:  # fmt: skip
        """One pass of a member over ids (B, T); `positions` are those of `Causal.context`.

        Blocks of the teacher at the member's beginning are not computed again where the pass of
        the teacher over the same ids is known.
        """
        embeddings = self.side(composition.embeddings).embed(ids, positions)
        known: Sequence[Tensor] = ()
        if teacher is not None and composition.embeddings is Side.TEACHER:
            embeddings = teacher.embeddings
            lead = [choice is Choice.BLOCK for choice in composition.choices]
            known = teacher.ends[: (*lead, False).index(False)]
        context = self.side(composition.embeddings).context(embeddings, positions)
        hidden = known[-1] if known else embeddings
        ends = (*known, *self.walk(composition, hidden, context, len(known)))
        return Trace(embeddings, ends, self.side(composition.norm).norm(ends[-1]))

    def last(self, composition: Composition, ids: Tensor) -> Tensor:
        """Token ids (B, T) → the member's hidden states (B, T, width) before its norm."""
        hidden = self.side(composition.embeddings).embed(ids)
        context = self.side(composition.embeddings).context(hidden)
        for state in self.walk(composition, hidden, context):
            hidden = state
        return hidden

    def logits(self, composition: Composition, ids: Tensor) -> Tensor:
        """Token ids (B, T) → the member's logits (B, T, vocabulary)."""
        return self.side(composition.head).head(self.trace(composition, ids).final)


def couple(teacher: Causal, student: Causal, layermap: LayerMap) -> Couple:
    """The two together. Raises StudentMismatch where depth or layers cannot be exchanged."""
    depths = (len(teacher.layers), len(student.layers))
    kinds = [teacher.kinds[index] for index in layermap.kept if index < depths[0]]
    if depths != (layermap.layers, len(layermap.kept)) or kinds != student.kinds:
        raise StudentMismatch(
            f"A student of {depths[1]} layers does not fit a teacher of {depths[0]} and the kept "
            f"layers {list(layermap.kept)}.",
            value=list(layermap.kept),
            fix="Depth and kinds of attention must be those of the kept layers.",
        )
    return Couple(teacher, student, layermap)
