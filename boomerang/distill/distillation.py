"""One distillation, from a job to the student that it writes."""

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import Anatomy, dissect
from boomerang.checkpoint.files import RECORD
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.checkpoints import Progress
from boomerang.distill.job import DistillJob, Placement
from boomerang.distill.learner import Learner
from boomerang.distill.memory.available import available, refuse_what_cannot_fit
from boomerang.distill.memory.estimate import MemoryEstimate, estimate_memory
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import gathered, placement
from boomerang.distill.students import student as students
from boomerang.distill.students.delta import transfer
from boomerang.distill.students.healing import Healing
from boomerang.distill.trainer import Trainer
from boomerang.errors import BadRecipe, TrainingFailed
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import cast, load
from boomerang.processes.reporting import Reporter
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.mixture import training_stream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream, length_for

FINAL_TOKENS = 16384
"""Tokens of the calibration split that a student's own final losses are measured on."""


@dataclass(frozen=True)
class _Plan:
    """All that is settled before anything large is read."""

    recipe: Recipe
    texts: Texts
    pair: Pair
    healing: Healing | None
    length: int
    vocabulary: int
    frozen: bool
    placement: Placement
    estimate: MemoryEstimate

    @classmethod
    def of(cls, job: DistillJob, recipe: Recipe, texts: Texts, devices: Devices) -> "_Plan":
        """Raises TrainingFailed for what cannot fit, BadRecipe, and as `dissect`, `layermap`."""
        anatomy = dissect(Checkpoint.open(job.teacher))
        files, frozen = anatomy.checkpoint, recipe.freezes(anatomy.tied)
        healing = None if job.heal is None else Healing.open(files, job.heal)
        if healing is not None:
            pair = healing.pair(freezes=frozen)
        else:
            pair = Pair.planned(files, _layermap(job, recipe, anatomy), frozen=frozen)
        length = length_for(files.config, recipe.sequence_length)
        compute = Accelerator.of(device()).compute
        free = devices.least(devices.portion(available(device())))
        shape = (pair, recipe, length, frozen, compute)
        placed = placement(estimate_memory(*shape), free, devices, job.placement)
        world = devices.world if placed is Placement.SHARDS else 1
        estimate = estimate_memory(*shape, world)
        refuse_what_cannot_fit(estimate, recipe, free)
        vocabulary = anatomy.head_tensor.shape[0]
        return cls(recipe, texts, pair, healing, length, vocabulary, frozen, placed, estimate)

    def couple(self, folder: Path) -> Couple:
        """The teacher of a folder, and its student as it begins."""
        on, shards = Accelerator.of(device()), self.placement is Placement.SHARDS
        # Loaded as stored, so that the student begins with the teacher's exact values.
        teacher = load(folder, dtype=None, where=None if shards else device())
        layermap = self.pair.layermap
        student = students.initialise(teacher, students.config_of(self.pair), layermap)
        if self.healing is not None:
            self.healing.begin(student)
        cast(teacher, on.compute)
        for model in (teacher, student):
            model.attend(on, documents=self.recipe.separate_documents)
        if self.frozen:
            students.freeze(student)
            if self.pair.shared_embeddings and not shards:
                students.share(student, teacher)
        return couple(teacher, student, layermap)


def _layermap(job: DistillJob, recipe: Recipe, anatomy: Anatomy) -> LayerMap:
    if job.kept is not None:
        return LayerMap.from_kept(job.kept, anatomy.depth)
    if recipe.measures:
        raise BadRecipe(
            f"Nobody has measured which layers to keep, which the recipe finds by {recipe.map}.",
            value=recipe.map,
            fix='List them in kept of the job, or have the recipe say map = "published".',
        )
    return recipe.layermap(anatomy.kinds)


def distil(
    job: DistillJob, report: Reporter, devices: Devices, learners: type[Learner] = Learner
) -> None:
    """Train a student and write it to `job.out`; a student that is there already is kept.

    On many devices all processes call it, and the first one writes.

    Raises BoomerangError for what cannot be trained, Stopped where the process was told to stop.
    """
    if devices.same(_made_before(job)):
        pass
    elif job.delta is None:
        _train(job, report, devices, learners)
    elif devices.first:
        transfer(job, job.delta, report)
    report("done", out=str(job.out))


def _train(job: DistillJob, report: Reporter, devices: Devices, learners: type[Learner]) -> None:
    if job.data is None:
        raise BadRecipe("There is no text to distil on.", fix="Name a folder or a dataset.")
    recipe, texts = job.parsed_recipe(learners.recipes), Texts.open(job.data)
    plan = _Plan.of(job, recipe, texts, devices)
    tokeniser, length = Tokeniser(job.teacher, plan.vocabulary), plan.length
    stream = devices.after_first(
        lambda tick: training_stream(
            recipe, tokeniser, texts, length, job.run, tick, write=devices.first
        ),
        report,
    )
    # Read before training, so that a text without it is refused at once.
    most = max(FINAL_TOKENS, length) + 1
    calibration = tokeniser.encode(texts, "calibration", loss_on=recipe.loss_on, most=most)
    tail = Stream(calibration, length, "calibration", tokeniser.first, tokeniser.begins)
    learner = learners(
        plan.couple(job.teacher), stream, recipe, report, plan.frozen, plan.estimate, devices,
        plan.placement,
    )  # fmt: skip
    if job.micro_batch is not None:
        learner.micro_batch = min(learner.micro_batch, job.micro_batch)
    layermap = plan.pair.layermap
    identity = job.identity(recipe, layermap.kept, texts.digest)
    trainer = Trainer(learner, job.run, identity, job.checkpoint_seconds, job.report_seconds)
    with closing(stream):
        # What it begins as, whatever a checkpoint brings it back to.
        before = None if job.heal is None else learner.evaluate(tail.head(FINAL_TOKENS))
        progress = trainer.train()
    final = learner.evaluate(tail.head(FINAL_TOKENS))
    student = learner.couple.student
    state = gathered(student.model.state_dict(keep_vars=True), devices)
    if devices.first:
        record = _record(job, plan, progress, final, before)
        config = students.config_of(plan.pair)
        students.write(student, job.teacher, job.out, layermap, record, state, config)


def _record(
    job: DistillJob, plan: _Plan, progress: Progress, final: dict[str, float],
    before: dict[str, float] | None,
) -> dict[str, Any]:  # fmt: skip
    healed = {} if job.heal is None else {"healed": {**job.heal.record(), "before": before}}
    return {
        **job.record(plan.pair.layermap),
        **healed,
        "recipe": plan.recipe.model_dump(mode="json"),
        "data": {"name": plan.texts.name, "digest": plan.texts.digest},
        "seed": plan.recipe.seed,
        "frozen_embeddings": plan.frozen,
        "sequence_length": plan.length,
        "steps": progress.steps,
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 1),
        "final": final,
    }


def _made_before(job: DistillJob) -> bool:
    if not job.out.exists():
        return False
    record = job.out / RECORD
    if record.is_file() and json.loads(record.read_text("utf-8")).get("key") == job.key:
        return True
    raise TrainingFailed(
        f"{job.out.name!r} exists and is not the student {job.key!r}.",
        value=str(job.out),
        fix="A student is never overwritten: remove it, or give another folder.",
    )
