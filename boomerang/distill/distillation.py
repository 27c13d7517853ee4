"""One distillation, from a job to the student that it writes."""

import json
from contextlib import closing
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import DistillJob, Placement
from boomerang.distill.learner import Learner
from boomerang.distill.memory.available import available
from boomerang.distill.memory.estimate import estimate_memory
from boomerang.distill.memory.shortage import refuse_what_cannot_fit
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import gathered, placement
from boomerang.distill.students import student as students
from boomerang.distill.students import writing
from boomerang.distill.students.delta import transfer
from boomerang.distill.trainer import Trainer
from boomerang.errors import (
    BadRecipe,
    TrainingFailed,
)
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import RECORD, Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.couple import couple
from boomerang.modules.load import cast, load
from boomerang.processes.reporting import Reporter
from boomerang.recipes.keys import TRAINER_VERSION
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.mixture import training_stream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

FINAL_TOKENS = 16384
"""Tokens of the calibration split that a student's own final losses are measured on."""


def distil(
    job: DistillJob, report: Reporter, devices: Devices, learners: type[Learner] = Learner
) -> None:
    """Train a student and write it to `job.out`; a student that is there already is kept.

    On many devices all processes call it, and the first one writes.

    Raises BoomerangError for what cannot be trained, Stopped where the process was told to stop.
    """
    if devices.same(_made_before(job)):
        report("done", out=str(job.out))
        return
    if job.delta is not None:
        if devices.first:
            transfer(job, job.delta, report)
        report("done", out=str(job.out))
        return
    if job.data is None:
        raise BadRecipe("There is no text to distil on.", fix="Name a folder or a dataset.")
    recipe, texts = job.parsed_recipe(learners.recipes), Texts.open(job.data)
    anatomy = dissect(Checkpoint.open(job.teacher))
    teacher_files = anatomy.checkpoint
    kept = job.kept
    layermap = (
        recipe.layermap(anatomy.kinds) if kept is None else LayerMap.from_kept(kept, anatomy.depth)
    )
    length, tokeniser = _length(recipe, teacher_files), _tokeniser(job, teacher_files)
    frozen = recipe.freezes(anatomy.tied)
    planned = Pair.planned(teacher_files, layermap, frozen=frozen)
    on = Accelerator.of(device())
    shape, free = (planned, recipe, length, frozen, on.compute), _free(devices)
    placed = placement(estimate_memory(*shape), free, devices, job.placement)
    shards = placed is Placement.SHARDS
    estimate = estimate_memory(*shape, devices.world if shards else 1)
    refuse_what_cannot_fit(estimate, recipe, free)
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
    # Loaded as stored, so that the student begins with the teacher's exact values.
    teacher = load(job.teacher, dtype=None, where=None if shards else device())
    config = students.student_config(teacher_files, layermap)
    student = students.initialise(teacher, config, layermap)
    cast(teacher, on.compute)
    for model in (teacher, student):
        model.attend(on, documents=recipe.separate_documents)
    if frozen:
        students.freeze(student)
        if not shards:
            students.share(student, teacher)
    learner = learners(
        couple(teacher, student, layermap),
        stream,
        recipe,
        report,
        frozen,
        estimate,
        devices,
        placed,
    )
    if job.micro_batch is not None:
        learner.micro_batch = min(learner.micro_batch, job.micro_batch)
    identity = job.identity(recipe, layermap.kept, texts.digest)
    trainer = Trainer(learner, job.run, identity, job.checkpoint_seconds, job.report_seconds)
    with closing(stream):
        progress = trainer.train()
    record = {
        **_provenance(job, recipe, layermap, texts),
        "frozen_embeddings": frozen,
        "sequence_length": length,
        "steps": progress.steps,
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 1),
        "final": learner.evaluate(tail.head(FINAL_TOKENS)),
    }
    state = gathered(student.model.state_dict(keep_vars=True), devices)
    if devices.first:
        writing.write(student, job.teacher, job.out, layermap, record, state)
    report("done", out=str(job.out))


def _free(devices: Devices) -> int:
    """Bytes that every process can still have."""
    return devices.least(devices.portion(available(device())))


def _provenance(
    job: DistillJob, recipe: Recipe, layermap: LayerMap, texts: Texts
) -> dict[str, Any]:
    return {
        "version": 1,
        "key": job.key,
        "teacher": job.teacher_name,
        "teacher_commit": job.teacher_commit,
        "kept": list(layermap.kept),
        "layers": layermap.layers,
        "recipe": recipe.model_dump(mode="json"),
        "data": {"name": texts.name, "digest": texts.digest},
        "seed": recipe.seed,
        "trainer_version": TRAINER_VERSION,
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


def _length(recipe: Recipe, teacher: Checkpoint) -> int:
    """The recipe's sequence length, or the teacher's context where that is shorter."""
    config = teacher.config
    context = config.get("max_position_embeddings") or config.get("n_positions")
    return (
        min(recipe.sequence_length, context)
        if isinstance(context, int)
        else (recipe.sequence_length)
    )


def _tokeniser(job: DistillJob, teacher: Checkpoint) -> Tokeniser:
    vocabulary = teacher.config.get("vocab_size")
    if not isinstance(vocabulary, int):
        raise BadRecipe(
            f"The config of {job.teacher_name!r} names no vocab_size.",
            value=vocabulary,
            fix="Write the vocabulary's size to its config.json.",
        )
    return Tokeniser(job.teacher, vocabulary)
