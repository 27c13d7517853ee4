"""The trainer as a process: `python -m boomerang.distill JOB.json`.

The same on many devices: `torchrun --nproc-per-node N -m boomerang.distill JOB.json`.

Events are JSON lines on stdout. Exit status 0 when the student is whole, 1 after an `error`
event, 143 when told to stop (with a checkpoint in the run folder).
"""

import json
import sys
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import Job, Placement
from boomerang.distill.loop import Trainer
from boomerang.distill.memory.allocator import give_back_large_blocks
from boomerang.distill.memory.estimate import available, need, refuse_what_cannot_fit
from boomerang.distill.parallel.devices import Devices, joined, leave, told_rank
from boomerang.distill.parallel.sharding import gathered, placement
from boomerang.distill.students import student as students
from boomerang.distill.students.delta import transfer
from boomerang.errors import (
    MAKE_ROOM,
    BadRecipe,
    BoomerangError,
    Interrupted,
    TrainingFailed,
    no_room,
)
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import RECORD, Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.couple import couple
from boomerang.modules.load import cast, load
from boomerang.processes.reporting import STOPPED, Reporter, Stopped, locked
from boomerang.recipes.keys import TRAINER_VERSION
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.mixture import training_stream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

FINAL_TOKENS = 16384
"""Tokens of the calibration split that a student's own final losses are measured on."""


def main(arguments: list[str], trainers: type[Trainer] = Trainer) -> int:
    """Run one job with a kind of trainer, and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    give_back_large_blocks()
    report = Reporter(speaks=told_rank() == 0)
    with report.supervised():
        try:
            job = Job.load(Path(arguments[0] if arguments else ""))
            with joined() as devices, devices.together(), _alone_in(job.run, devices):
                distil(job, report, devices, trainers)
        except Stopped:
            return STOPPED
        except BoomerangError as error:
            report.failed(error)
            return 1
        except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
            report.failed(_failed(error))
            return 1
    return 0


def distil(job: Job, report: Reporter, devices: Devices, trainers: type[Trainer] = Trainer) -> None:
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
    recipe, texts = job.parsed_recipe(trainers.recipes), Texts.open(job.data)
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
    placed = placement(need(*shape), free, devices, job.placement)
    shards = placed is Placement.SHARDS
    wanted = need(*shape, devices.world if shards else 1)
    refuse_what_cannot_fit(wanted, recipe, free)
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
    identity = job.identity(recipe, layermap.kept, texts.digest)
    trainer = trainers(
        couple(teacher, student, layermap),
        stream,
        recipe,
        job.run,
        identity,
        report,
        frozen,
        job.checkpoint_seconds,
        job.report_seconds,
        wanted,
        devices,
        placed,
    )
    if job.micro_batch is not None:
        trainer.at_once = min(trainer.at_once, job.micro_batch)
    with closing(stream):
        progress = trainer.train()
    record = {
        **_provenance(job, recipe, layermap, texts),
        "frozen_embeddings": frozen,
        "sequence_length": length,
        "steps": progress.steps,
        "tokens": progress.tokens,
        "seconds": round(progress.seconds, 1),
        "final": trainer.evaluate(tail.head(FINAL_TOKENS)),
    }
    state = gathered(student.model.state_dict(keep_vars=True), devices)
    if devices.first:
        students.write(student, job.teacher, job.out, layermap, record, state)
    report("done", out=str(job.out))


def _alone_in(run: Path, devices: Devices) -> AbstractContextManager[None]:
    """The lock of a run folder, which the first process holds for all."""
    return locked(run) if devices.first else nullcontext()


def _free(devices: Devices) -> int:
    """Bytes that every process can still have."""
    return devices.least(devices.portion(available(device())))


def _provenance(job: Job, recipe: Recipe, layermap: LayerMap, texts: Texts) -> dict[str, Any]:
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


def _made_before(job: Job) -> bool:
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


def _tokeniser(job: Job, teacher: Checkpoint) -> Tokeniser:
    vocabulary = teacher.config.get("vocab_size")
    if not isinstance(vocabulary, int):
        raise BadRecipe(
            f"The config of {job.teacher_name!r} names no vocab_size.",
            value=vocabulary,
            fix="Write the vocabulary's size to its config.json.",
        )
    return Tokeniser(job.teacher, vocabulary)


def _failed(error: Exception) -> TrainingFailed:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    memory = "out of memory" in said.lower() or isinstance(error, MemoryError)
    fix = "Lower micro_batch or sequence_length." if memory else "See the trainer's log."
    fix = MAKE_ROOM if no_room(error) else fix
    # What a device reports of itself (a link that broke, bad memory) says nothing of the job.
    device = isinstance(error, torch.AcceleratorError) and not memory
    kind = Interrupted if device or no_room(error) else TrainingFailed
    return kind(f"The trainer stopped: {said}.", value=type(error).__name__, fix=fix)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
