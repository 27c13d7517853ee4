"""Held-out loss against useful tokens, on the small teacher and its text, of one side.

    python -m benchmarks.distillation.curve plain|packed|apart SEED STEPS

All sides have the same documents, losses, optimiser and schedule, and as many useful tokens in a
step. A document is a piece of the text, as long as those of the other measurements, after an
end-of-text token; `apart` is packed with documents that do not see each other. Each line of the
output is `{"tokens", "seconds", "alone", "packed"}`: the student's held-out cross-entropy in nats
a token, documents one by one and packed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.distillation import plain
from benchmarks.distillation.ours import END, Clock, from_folder
from benchmarks.distillation.shapes import Shape, lengths
from boomerang.distill.learner import Learner
from boomerang.distill.optimisers import rate_at
from boomerang.distill.trainer import Trainer
from boomerang.recipes.fixed import BETAS, CLIP, WEIGHT_DECAY
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

TEACHER, TEXT = Path("examples/kjv/KJV-1.4M"), Path("examples/kjv")
SHAPE = Shape(layers=12, width=96, vocabulary=2048, batch=4, length=256, steps=0)
POINTS = 12
"""How often the held-out loss is measured in a run."""


class Reader(Clock):
    """Measures a student every so many steps; the time that takes is not the run's."""

    def __init__(self, student: Any, every: int) -> None:
        super().__init__()
        self.student, self.every, self.away = student, every, 0.0
        self.began = 0.0

    def __call__(self, event: str, **fields: object) -> None:
        """Take note of a step of the Trainer."""
        if event == "start":
            self.look(0, 0)
        elif event == "step":
            self.look(int(str(fields["step"])), int(str(fields["tokens"])))

    def look(self, step: int, tokens: int) -> None:
        """Print the held-out loss where it is time for it."""
        if step % self.every:
            return
        now = time.perf_counter()
        spent = 0.0 if step == 0 else now - self.began - self.away
        alone, packed = held_out(self.student)
        point = {"tokens": tokens, "seconds": spent, "alone": alone, "packed": packed}
        print(json.dumps(point), flush=True)
        if step == 0:
            self.began = time.perf_counter()
        else:
            self.away += time.perf_counter() - now


def documents(split: Split, seed: int) -> list[Tensor]:
    """The documents of a split: token ids, the first of them the end of text."""
    tokeniser, texts = Tokeniser(TEACHER, SHAPE.vocabulary), Texts.open(TEXT)
    tokens = tokeniser.encode(texts, split)
    words = torch.from_numpy(tokens[tokens != tokeniser.end].astype(np.int64))
    torch.manual_seed(seed)
    cuts = [size - 1 for size in lengths(SHAPE, 1 + len(words) // 16)]
    end, found, at = torch.tensor([tokeniser.end]), [], 0
    for size in cuts:
        if at >= len(words):
            break
        found.append(torch.cat([end, words[at : at + size]]))
        at += size
    order = torch.randperm(len(found)).tolist()
    return [found[index] for index in order]


@torch.no_grad()
def held_out(student: Any) -> tuple[float, float]:
    """Cross-entropy in nats a token, documents one by one and packed."""
    test = documents("heldout", seed=0)[:128]
    ids, mask = plain.padded(test, SHAPE.length)
    labels = ids.masked_fill(mask == 0, -100)
    alone = _entropy(student, ids[:, :-1], labels[:, 1:], mask[:, :-1])
    windows = Stream(torch.cat(test).numpy().astype(np.int32), SHAPE.length).head(1 << 20)
    return alone, _entropy(student, windows[:, :-1], windows[:, 1:], None)


def _entropy(student: Any, ids: Tensor, labels: Tensor, mask: Tensor | None) -> float:
    total = 0.0
    for rows in torch.arange(len(ids)).split(8):
        here = None if mask is None else mask[rows]
        logits = student(input_ids=ids[rows], attention_mask=here).logits
        total += float(
            functional.cross_entropy(logits.flatten(0, 1), labels[rows].flatten(), reduction="sum")
        )
    return total / int((labels != -100).sum())


def recipe(seed: int, steps: int) -> Recipe:
    """The published losses, nothing frozen, nothing patched, at the small teacher's scale."""
    return Recipe.load("published").override(
        steps=steps,
        batch_tokens=SHAPE.batch * SHAPE.length,
        sequence_length=SHAPE.length,
        micro_batch=SHAPE.batch,
        learning_rate=1e-3,
        warmup=0.05,
        seed=seed,
    )


def apart(settings: Recipe, every: int) -> None:
    """The project's Trainer, each document by itself."""
    packed(settings.override(separate_documents=True), every)


def packed(settings: Recipe, every: int) -> None:
    """The project's Trainer."""
    both = from_folder(TEACHER, SHAPE.kept, frozen=False)
    tokens = torch.cat(documents("train", settings.seed)).numpy().astype(np.int32)
    reader = Reader(both.student.model, every)
    with tempfile.TemporaryDirectory(prefix="boomerang-distillation-") as run:
        stream = Stream(tokens, SHAPE.length, end=END)
        learner = Learner(both, stream, settings, reader, frozen=False)
        seldom = {"checkpoint_seconds": 1e9, "report_seconds": 0.0}
        Trainer(learner, Path(run), "curve", **seldom).train()


def padded(settings: Recipe, every: int) -> None:
    """The plain loop, with the Trainer's optimiser and schedule."""
    teacher = from_folder(TEACHER, SHAPE.kept, frozen=False).teacher.model
    student = plain.pruned(teacher, SHAPE.kept)
    weights = list(student.parameters())
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS)
    steps, reader, used = settings.steps or 0, Reader(student, every), 0
    reader.look(0, 0)
    for step, batch in zip(range(steps), batches(settings), strict=False):
        found = plain.loss(student, teacher, SHAPE.kept, *plain.padded(batch, SHAPE.length))
        optimiser.zero_grad()
        torch.autograd.backward(found)
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * rate_at(step, steps, settings.warmup)
        optimiser.step()
        used += sum(map(len, batch))
        reader.look(step + 1, used)


def batches(settings: Recipe) -> Iterator[list[Tensor]]:
    """Documents in turn, together as many useful tokens as the other side has in a step."""
    batch, used, due = [], 0, settings.batch_tokens
    for document in documents("train", settings.seed):
        batch.append(document)
        used += len(document)
        if used >= due:
            yield batch
            batch, due = [], due + settings.batch_tokens


def main(arguments: list[str]) -> None:
    """Run one side."""
    torch.set_num_threads(2)
    seed, steps = int(arguments[1]), int(arguments[2])
    sides = {"plain": padded, "packed": packed, "apart": apart}
    sides[arguments[0]](recipe(seed, steps), max(1, steps // POINTS))


if __name__ == "__main__":
    main(sys.argv[1:])
