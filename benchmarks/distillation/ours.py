"""The project's own Trainer on the same documents, packed; prints what the plain loop prints.

python -m benchmarks.distillation.ours RECIPE LAYERS WIDTH VOCABULARY BATCH LENGTH STEPS
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.distillation.shapes import Shape, lengths, peak, random_teacher
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.learner import Learner
from boomerang.distill.memory.available import give_back_large_blocks
from boomerang.distill.memory.estimate import MemoryEstimate, estimate_memory
from boomerang.distill.students import student as students
from boomerang.distill.trainer import Trainer
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.processes.reporting import Reporter
from boomerang.recipes.recipe import Recipe
from boomerang.tokens.windows import Stream

END = 0
"""The token before each document; the documents have none of it."""


class Clock(Reporter):
    """Takes the time at which each step ended, and the memory it took to get there."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[float] = []
        self.peak = 0.0

    def __call__(self, event: str, **fields: object) -> None:
        """Note a step; say nothing."""
        if event == "step":
            self.steps.append(time.perf_counter())
            self.peak = peak()


def packed(shape: Shape, tokens: int) -> tuple[NDArray[np.int32], float]:
    """Random documents in a row, at least so many tokens, and the share that is not END."""
    draw, found, parts = np.random.default_rng(0), 0, []
    for size in lengths(shape, 1 + tokens // 16):
        parts.append(np.concatenate([[END], draw.integers(1, shape.vocabulary, size)]))
        found += size + 1
        if found > tokens:
            break
    return np.concatenate(parts).astype(np.int32), 1 - len(parts) / found


def from_folder(folder: Path, kept: list[int], frozen: bool) -> Couple:
    """The teacher of a folder and its untrained student, as the trainer makes them."""
    files, teacher = Checkpoint.open(folder), load(folder, dtype=torch.float32)
    layermap = LayerMap.from_kept(kept, len(teacher.layers))
    config = students.student_config(files, layermap)
    student = students.initialise(teacher, config, layermap)
    if frozen:
        students.freeze(student)
        students.share(student, teacher)
    return couple(teacher, student, layermap)


def needed(folder: Path, shape: Shape, recipe: Recipe, frozen: bool) -> MemoryEstimate:
    """What the trainer takes the run to need."""
    layermap = LayerMap.from_kept(shape.kept, shape.layers)
    pair = Pair.planned(Checkpoint.open(folder), layermap, frozen=frozen)
    return estimate_memory(pair, recipe, shape.length, frozen, torch.float32)


def main(arguments: list[str]) -> None:
    """Measure one shape with one recipe, and print what was found as JSON."""
    shape = Shape(*map(int, arguments[1:]))
    give_back_large_blocks()
    torch.manual_seed(0)
    torch.set_num_threads(2)
    # From its first step on, so that the few that are timed are of the kind that a run has most.
    recipe = Recipe.load(arguments[0]).override(
        steps=shape.steps + 1,
        batch_tokens=shape.batch * shape.length,
        sequence_length=shape.length,
        micro_batch=shape.batch,
        learning_rate=1e-4,
        patch_after=0.0,
        separate_documents=True,
    )
    tokens, useful = packed(shape, (shape.steps + 3) * shape.batch * shape.length)
    frozen = recipe.freezes(True)
    with tempfile.TemporaryDirectory(prefix="boomerang-distillation-") as made:
        folder, run = Path(made) / "teacher", Path(made) / "run"
        run.mkdir()
        random_teacher(shape).save_pretrained(folder)
        both, clock = from_folder(folder, shape.kept, frozen), Clock()
        stream = Stream(tokens, shape.length, end=END)
        estimate = needed(folder, shape, recipe, frozen)
        learner = Learner(both, stream, recipe, clock, frozen, estimate)
        Trainer(learner, run, "benchmark", checkpoint_seconds=1e9, report_seconds=0.0).train()
    seconds = clock.steps[-1] - clock.steps[0]
    rate = shape.steps * shape.batch * shape.length / seconds
    figures = {"useful_tokens_per_s": rate * useful, "tokens_per_s": rate}
    print(json.dumps({**figures, "peak_mb": clock.peak, "with_checkpoint_mb": peak()}))


if __name__ == "__main__":
    main(sys.argv[1:])
