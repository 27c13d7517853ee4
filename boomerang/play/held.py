"""A pair that is held in memory, and every size of it: parameters once, members by reference."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from boomerang.architecture.bert import not_played
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRecipe
from boomerang.family.composition import Choice, Composition, composition_of
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import DTYPES, cast, load
from boomerang.play.job import PlayJob
from boomerang.play.member import put_together
from boomerang.play.prompts import Prompts
from boomerang.tokens.packing import Tokeniser

_KEPT = 64
"""Members that stay put together: each is some hundred objects, and no parameter."""


@dataclass
class Held:
    """Teacher and student in memory; `context` is the most tokens of a prompt and its answer."""

    pair: Pair
    couple: Couple
    prompts: Prompts
    context: int
    _members: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, job: PlayJob) -> "Held":
        """Load a pair from its two folders.

        Raises UnsupportedArchitecture for masked language models, BadRecipe for a device that
        there is not, or as `Pair.of`, `load` and `Tokeniser`.
        """
        stored = Checkpoint.open(job.teacher), Checkpoint.open(job.student)
        pair = Pair.of(*stored, kept=job.kept, verify=False)
        if pair.teacher.architecture.masked:
            raise not_played(job.teacher.name)
        where = _device(job.device)
        dtype = getattr(torch, job.dtype) if job.dtype else Accelerator.of(where).compute
        teacher = load(job.teacher, dtype=dtype, where=where)
        # As in an assembled member, the student's numbers are first those of the teacher's dtype.
        student = load(job.student, dtype=DTYPES[pair.teacher.head_tensor.dtype], where=where)
        cast(student, dtype)
        both = couple(teacher, student, pair.layermap)
        share_equal(teacher, student)
        prompts = Prompts(Tokeniser(job.teacher, int(teacher.config.vocab_size)))
        # GPT-2's `n_positions` is this, too, in the configs of transformers.
        places = getattr(teacher.config, "max_position_embeddings", None) or job.context
        return cls(pair, both, prompts, min(job.context, int(places)))

    def member(self, code: str) -> tuple[Any, float]:
        """A member by its composition's code, and the milliseconds that having it took.

        Raises BadComposition for a code that is none of this pair's.
        """
        begun = time.perf_counter()
        model = self._members.get(code)
        if model is None:
            composition = composition_of(self.pair.layermap, code)
            model = put_together(self.couple, composition, member_config(self.pair, composition))
            self._members[code] = model
            if len(self._members) > _KEPT:
                self._members.popitem(last=False)
        self._members.move_to_end(code)
        return model, 1e3 * (time.perf_counter() - begun)

    @property
    def student(self) -> Composition:
        """The smallest member, which may draft for the others."""
        choices = [Choice.STUDENT] * len(self.pair.layermap.kept)
        return Composition.of(self.pair.layermap, choices)

    @property
    def memory(self) -> int:
        """Bytes of all parameters and buffers, each counted once."""
        return memory(side.model for side in (self.couple.teacher, self.couple.student))


def memory(models: Iterable[nn.Module]) -> int:
    """Bytes that the parameters and buffers of some models take together, each storage once."""
    found: dict[int, int] = {}
    for model in models:
        for tensor in (*model.parameters(), *model.buffers()):
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def share_equal(teacher: Causal, student: Causal) -> None:
    """Let the student have the teacher's embeddings, norm and head where its own are equal."""
    for theirs, mine in zip(teacher.ends, student.ends, strict=True):
        for name, own in mine._parameters.items():
            other = theirs._parameters.get(name)
            if own is not None and other is not None and torch.equal(own, other):
                mine._parameters[name] = other


def _device(name: str | None) -> torch.device:
    try:
        where = device() if name is None else torch.device(name)
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise BadRecipe(
            f"There is no device {name!r}: {' '.join(str(error).split())[:200]}",
            value=name,
            fix="Name one that torch has (cpu, cuda), or none.",
        ) from None
    return where
