"""What one process trains: the losses of a pass, the gradients of a batch, and the update."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from boomerang.distill.job import Placement
from boomerang.distill.memory.available import halve
from boomerang.distill.memory.estimate import MemoryEstimate
from boomerang.distill.objective.losses import Losses, Mean, Weights, distillation_losses
from boomerang.distill.optimisers import optimiser_for, set_rate
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import Root, clip, sharded, sum_gradients
from boomerang.distill.passes import member_for, passes, shares
from boomerang.distill.students.student import trained
from boomerang.errors import TrainingFailed
from boomerang.family.composition import Choice, Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.processes.reporting import Reporter
from boomerang.recipes.fixed import CLIP
from boomerang.recipes.recipe import Recipe
from boomerang.tokens.loss_mask import Sequences
from boomerang.tokens.windows import Windows

T = TypeVar("T")


@dataclass
class Learner:
    """Teacher, student and optimiser, and `stream`, which they see `micro_batch` sequences of.

    Each of many `devices` has teacher and student as `placement` says; shards are made in place.
    """

    recipes: ClassVar[type[Recipe]] = Recipe
    """What its recipe is read as."""

    couple: Couple
    stream: Windows
    recipe: Recipe
    report: Reporter
    frozen: bool
    estimate: MemoryEstimate | None = None
    devices: Devices = field(default_factory=Devices)
    placement: Placement = Placement.REPLICAS
    micro_batch: int = field(init=False)
    """Sequences that fit into one pass of one device: the recipe's, or fewer."""
    root: Root = field(init=False)
    parameters: dict[str, nn.Parameter] = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    teacher_itself: Composition = field(init=False)
    where: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self.couple = replace(self.couple, recompute=self.recipe.activation_checkpointing)
        self.root = sharded(self.couple, self.devices) if self.shards else Root(self.couple)
        self.where = self.couple.teacher.device
        most, self.micro_batch = Accelerator.of(self.where).activations, self.recipe.micro_batch
        if self.estimate is not None:
            self.micro_batch = self.estimate.fitting(self.micro_batch, most)
        self.parameters = trained(self.couple.student)
        self.optimiser = optimiser_for(self.recipe, self.parameters.values())
        whole = [Choice.BLOCK] * len(self.couple.layermap.kept)
        self.teacher_itself = Composition.of(self.couple.layermap, whole)

    @property
    def shards(self) -> bool:
        """Whether the devices need each other for every layer."""
        return self.placement is Placement.SHARDS

    @property
    def sequences(self) -> int:
        """Sequences in one optimiser step."""
        return max(1, self.recipe.batch_tokens // self.stream.length)

    @property
    def rounds(self) -> int:
        """How often a step goes through as many sequences as fit into memory."""
        return math.ceil(self.sequences / (self.micro_batch * self.devices.world))

    def first(self) -> Tensor:
        """The first sequences of the run, as many as go through one pass."""
        count = min(self.micro_batch * self.devices.world, self.sequences)
        return self.stream.batch(self.recipe.seed, 0, count, steps=1)

    def gradients(self, batch: Tensor, step: int, steps: int) -> Mean:
        """Leave the gradients of a batch (B, T + 1), and return its losses."""

        def work() -> Mean:
            losses = self.passes(batch, step, steps)
            self.sum()
            return losses

        return self.fitting(work, step)

    def update(self, step: int, steps: int, rate: float, ce: float) -> None:
        """Clip, and change the student by its gradients at `rate` of the peak.

        Raises TrainingFailed where a gradient is not finite.
        """
        norm = clip(self.parameters.values(), CLIP)
        if not math.isfinite(norm):
            raise TrainingFailed(
                f"The gradient is not finite at step {step + 1} of {steps} "
                f"(cross-entropy {ce:.4g}).",
                value=step + 1,
                fix="Lower the learning rate; the last checkpoint is from before it.",
            )
        set_rate(self.optimiser, self.recipe.learning_rate * rate)
        self.optimiser.step()

    def fitting(self, work: Callable[[], T], step: int) -> T:
        """What `work` makes, which begins without gradients and leaves some.

        Out of memory on any device halves the micro-batch on all of them, for this step and all
        that follow, and it begins again; the gradients are the same.
        """
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                with self.devices.together():
                    return work()
            except (MemoryError, RuntimeError) as error:
                halved = halve(self.micro_batch, error)
            self.root.forget()
            self.optimiser.zero_grad(set_to_none=True)
            if self.where.type == "cuda":
                torch.cuda.empty_cache()
            self.report("memory", step=step + 1, micro_batch=halved, before=self.micro_batch)
            self.micro_batch = halved

    def sum(self) -> None:
        """Sum the gradients of replicas; those of shards are summed as they come."""
        if not self.shards:
            sum_gradients(self.parameters.values(), self.devices)

    def passes(self, batch: Tensor, step: int, steps: int) -> Mean:
        """Add the gradients of this process's part of a batch, and return the losses of all."""
        losses, member = Mean(), partial(self.member, step, steps)
        work = (batch, self.recipe.micro_batch, member, self.micro_batch, self.devices)
        # Of shards all devices go through the same passes, and meet before each.
        alike = nullcontext(partial(self.devices.check, self.report))
        with alike if self.shards else self.devices.apart(self.report) as check:
            for one in passes(*work, self.shards):
                check()
                found = self.losses(one.composition, one.rows)
                torch.autograd.backward(found.total * one.share)
                losses.add(found, one.share)
        return losses.over(self.devices)

    def member(self, step: int, steps: int, part: int) -> Composition:
        """The member that micro-batch `part` of the recipe's runs through in a step."""
        return member_for(self.recipe, self.couple.layermap, step, steps, part)

    def losses(self, composition: Composition, ids: Tensor) -> Losses:
        """The losses of a member on sequences (B, T + 1), with gradient for the student."""
        read = Sequences.read(ids, self.stream.end, self.where)
        inputs = read.inputs
        weights = Weights(self.recipe.ce_weight, self.recipe.kl_weight, self.recipe.cosine_weight)
        places = self.stream.positions(read.bare) if self.recipe.separate_documents else None

        def work() -> Losses:
            with torch.no_grad():
                teacher = self.couple.trace(self.teacher_itself, inputs, positions=places)
            student = self.couple.trace(composition, inputs, teacher, places)
            return distillation_losses(
                self.couple, composition, student, teacher, read.labels, weights,
                frozen=self.frozen, rows=read.rows,
            )  # fmt: skip

        # Weights stay in float32, or small updates are lost; only products are in bfloat16.
        with Accelerator.of(self.where).autocast():
            found: Losses = self.root(work)
            return found

    @torch.no_grad()
    def evaluate(self, windows: Tensor) -> dict[str, float]:
        """The student's own losses, nothing patched, over windows (W, T + 1)."""
        student = Composition.patched(self.couple.layermap, ())
        mean = Mean()
        for ids, part in shares(windows, self.micro_batch, self.devices):
            mean.add(self.losses(student, ids), part)
            self.root.gather_no_more()
        return mean.over(self.devices).means()
