"""What an optimiser step of each recipe costs, timed side by side so that all get equal time."""

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from benchmarks.recipes.ablation import AblationLearner
from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.learner import Learner
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
    streams = {
        name: Stream(tokens, r.sequence_length, end=tokeniser.first, begins=tokeniser.begins)
        for name, r in recipes.items()
    }
    learners = {name: _learner(teacher, files, streams[name], r) for name, r in recipes.items()}
    for turn in range(-1, ROUNDS):
        for name, learner in learners.items():
            taken = _pass(learner, turn)
            if turn >= 0:
                seconds[name].append(taken)
    return {name: statistics.mean(each) for name, each in seconds.items()}


def _learner(teacher: Path, files: Checkpoint, stream: Stream, recipe: Recipe) -> Learner:
    anatomy = dissect(files)
    layermap = recipe.layermap(anatomy.kinds)
    whole = load(teacher, dtype=torch.float32)
    student = students.initialise(whole, students.student_config(files, layermap), layermap)
    frozen = recipe.freezes(anatomy.tied)
    if frozen:
        students.freeze(student)
    both = couple(whole, student, layermap)
    return AblationLearner(both, stream, recipe, Reporter(), frozen)


def _pass(learner: Learner, turn: int) -> float:
    recipe = learner.recipe
    ids = learner.stream.head(recipe.micro_batch * learner.stream.length)
    member = learner.member(max(turn, 0), ROUNDS, 0)
    began = time.process_time()
    learner.losses(member, ids).total.backward()
    return time.process_time() - began
