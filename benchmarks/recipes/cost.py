"""What an optimiser step of each recipe costs, timed side by side so that all get equal time."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.recipes.ablation import AblationTrainer
from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.loop import Trainer
from boomerang.distill.students import student as students
from boomerang.modules.couple import couple
from boomerang.modules.load import load
from boomerang.processes.reporting import Reporter
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

ROUNDS = 12
"""Passes timed of each recipe; which blocks are patched differs from one to the next."""


def costs(teacher: Path, data: Path, recipes: Mapping[str, Recipe]) -> dict[str, float]:
    """Processor seconds of one forward and backward pass of a micro-batch, by recipe.

    All recipes must share sequence length and micro-batch. The passes are spread over a run's
    whole schedule, so that plain and patched ones weigh as they do in the run.
    """
    files = Checkpoint.open(teacher)
    tokeniser = Tokeniser(teacher, files.config["vocab_size"])
    tokens = tokeniser.encode(Texts.open(data), "calibration")
    seconds: dict[str, list[float]] = {name: [] for name in recipes}
    with TemporaryDirectory() as run:
        streams = {
            name: Stream(tokens, r.sequence_length, end=tokeniser.first, begins=tokeniser.begins)
            for name, r in recipes.items()
        }
        trainers = {
            name: _trainer(teacher, files, streams[name], r, Path(run))
            for name, r in recipes.items()
        }
        for turn in range(-1, ROUNDS):
            for name, trainer in trainers.items():
                taken = _pass(trainer, turn)
                if turn >= 0:
                    seconds[name].append(taken)
    return {name: statistics.mean(each) for name, each in seconds.items()}


def _trainer(
    teacher: Path, files: Checkpoint, stream: Stream, recipe: Recipe, run: Path
) -> Trainer:
    anatomy = dissect(files)
    layermap = recipe.layermap(anatomy.kinds)
    whole = load(teacher, dtype=torch.float32)
    student = students.initialise(whole, students.student_config(files, layermap), layermap)
    frozen = recipe.freezes(anatomy.tied)
    if frozen:
        students.freeze(student)
    both = couple(whole, student, layermap)
    return AblationTrainer(both, stream, recipe, run, "timed", Reporter(), frozen)


def _pass(trainer: Trainer, turn: int) -> float:
    recipe = trainer.recipe
    ids = trainer.stream.head(recipe.micro_batch * trainer.stream.length)
    member = trainer.member(max(turn, 0), ROUNDS, 0)
    began = time.process_time()
    trainer.losses(member, ids).total.backward()
    return time.process_time() - began
