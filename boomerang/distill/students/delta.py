"""A fine-tune's student without training: what distillation changed in the student of its base.

`student of the fine-tune = pruned fine-tune + (student of the base - pruned base)`: the
weight-delta initialisation of ADAPT (arXiv 2608.22854, section 3.2.2).

Whether to trust it, ADAPT reads off the *cosine* between the base's distillation delta,
(student - pruned base), and the fine-tune's own, (its distilled student - pruned fine-tune):
0.73 to 0.75 where the transfer was reliable, 0.57 to 0.64 partly, 0.30 unreliable (appendix G).
That needs a student distilled from the fine-tune, however briefly: where none is given, the
cosine is unknown and not replaced by anything else. (The delta of fine-tuning itself,
fine-tune - base, is no substitute: nothing makes it point where distillation points.)
Always known is the *drift*, |pruned fine-tune - pruned base| / |pruned base|: two models that
are not related at all have about 1.4.
"""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from boomerang.architecture.anatomy import Anatomy, dissect
from boomerang.architecture.supported import Part, Role
from boomerang.checkpoint.files import INDEX, SINGLE
from boomerang.checkpoint.header import ITEM_BYTES, Tensor
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import Delta, DistillJob
from boomerang.distill.students.student import begin, finish
from boomerang.errors import StudentMismatch, TrainingFailed
from boomerang.family.pair import Pair
from boomerang.family.related import check_fine_tune
from boomerang.modules.load import DTYPES
from boomerang.processes.reporting import Reporter

TRUSTED = 0.5
"""The cosine below which a transferred student is not to be trusted."""
RELATED = 0.5
"""The drift above which a teacher is hardly a fine-tune of that base."""


@dataclass
class Figures:
    """Sums over every element, from which cosine, norm ratio and drift are made."""

    dot: float = 0.0
    base: float = 0.0
    own: float = 0.0
    moved: float = 0.0
    pruned: float = 0.0
    compared: bool = field(default=False)

    def add(self, change: torch.Tensor, pruned: torch.Tensor, before: torch.Tensor) -> None:
        """Add elements of the base's delta, of the pruned fine-tune and of the pruned base."""
        self.base += _square(change)
        self.moved += _square(pruned - before)
        self.pruned += _square(before)

    def compare(self, change: torch.Tensor, own: torch.Tensor) -> None:
        """Add elements of the base's delta and of the fine-tune's own."""
        self.dot += float(torch.dot(change.double(), own.double()))
        self.own += _square(own)

    @property
    def cosine(self) -> float | None:
        """Between the two distillation deltas; None without a student of the fine-tune."""
        lengths = math.sqrt(self.base * self.own)
        return self.dot / lengths if self.compared and lengths else None

    @property
    def norm_ratio(self) -> float | None:
        """The length of the base's delta over that of the fine-tune's own."""
        return math.sqrt(self.base / self.own) if self.compared and self.own else None

    @property
    def drift(self) -> float:
        """How far fine-tuning went, relative to the base's weights."""
        return math.sqrt(self.moved / self.pruned) if self.pruned else 0.0

    @property
    def warning(self) -> str | None:
        """Why the student is not to be trusted, where a figure says so."""
        cosine = self.cosine
        if cosine is not None and cosine < TRUSTED:
            return (
                f"The distillation deltas of base and fine-tune have a cosine of {cosine:.2f}, "
                f"below {TRUSTED}: distil the fine-tune itself."
            )
        if self.drift > RELATED:
            return (
                f"The teacher's weights differ from the base's by {self.drift:.2f} of their "
                f"length, above {RELATED}: it is hardly a fine-tune of that base."
            )
        return None

    def json(self) -> dict[str, Any]:
        """The figures by name, with the warning, if any."""
        short = {"cosine": self.cosine, "norm_ratio": self.norm_ratio, "drift": self.drift}
        rounded = {k: None if v is None else round(v, 4) for k, v in short.items()}
        return {**rounded, "warning": self.warning}


def _square(values: torch.Tensor) -> float:
    return float(values.double().square().sum())


SHARD_BYTES = 2_000_000_000
"""Largest weight file, which is what is held in memory at once."""
_AT_ONCE = 1 << 22
"""Elements that are computed together."""


@dataclass(frozen=True)
class Transfer:
    """A fine-tune, the pair of its base, and a student of the fine-tune itself, if there is one.

    Raises StudentMismatch where they are not of one shape.
    """

    teacher: Anatomy
    base: Pair
    reference: Anatomy | None = None

    def __post_init__(self) -> None:
        check_fine_tune(self.teacher, self.base)

    @classmethod
    def open(cls, teacher: Path, base: Path, student: Path, reference: Path | None) -> "Transfer":
        """From folders. Raises as `dissect` and `Pair.of`, and StudentMismatch."""
        ours = Checkpoint.open(teacher)
        pair = Pair.of(Checkpoint.open(base), Checkpoint.open(student), verify=False)
        own = None if reference is None else Pair.of(ours, Checkpoint.open(reference))
        if own is not None and own.layermap != pair.layermap:
            raise StudentMismatch(
                "The two students do not keep the same layers.",
                value=list(own.layermap.kept),
                fix="Compare with a student made by the same recipe.",
            )
        return cls(dissect(ours), pair, own.student if own else None)

    def shards(self) -> list[list[Role]]:
        """The roles of the student in the order in which they are stored, by file."""
        found: list[list[Role]] = [[]]
        room = SHARD_BYTES
        for role in self.base.student.tensors:
            source = self.teacher.tensors[self._of_teacher(role)]
            size = source.parameters * ITEM_BYTES[source.dtype]
            if found[-1] and size > room:
                found.append([])
                room = SHARD_BYTES
            found[-1].append(role)
            room -= size
        return found

    def tensor(self, role: Role, figures: Figures) -> torch.Tensor:
        """One tensor of the fine-tune's student, in the dtype the fine-tune stores it in.

        Computed in float32. Where the base's student did not change, it is the fine-tune's, bit
        for bit. Raises TrainingFailed where a value is not finite.
        """
        at = self._of_teacher(role)
        ours, base = self.teacher.tensors[at], self.base.teacher.tensors[at]
        student = self.base.student.tensors[role]
        own = self.reference.tensors[role] if self.reference else None
        made = torch.empty(ours.parameters, dtype=DTYPES[ours.dtype])
        for start in range(0, ours.parameters, _AT_ONCE):
            stop = min(start + _AT_ONCE, ours.parameters)
            stored = _read(ours, start, stop)
            pruned, before = stored.float(), _read(base, start, stop).float()
            change = _read(student, start, stop).float() - before
            moved = (pruned + change).to(stored.dtype)
            made[start:stop] = torch.where(change == 0, stored, moved)
            figures.add(change, pruned, before)
            if own is not None:
                figures.compare(change, _read(own, start, stop).float() - pruned)
        if not torch.isfinite(made).all():
            name = self.teacher.architecture.name(role)
            raise TrainingFailed(
                f"{name} of the student is not finite.",
                value=name,
                fix="Distil the fine-tune itself: the delta does not fit its dtype.",
            )
        return made.reshape(ours.shape)

    def _of_teacher(self, role: Role) -> Role:
        if role.part is not Part.LAYER:
            return role
        return Role(role.part, self.base.layermap.kept[role.layer], role.suffix)


def transfer(job: DistillJob, delta: Delta, report: Reporter) -> None:
    """Write the student of `job.teacher` to `job.out`, from the student of its base.

    Raises StudentMismatch where fine-tune, base and student are not of one shape, Stopped, or as
    `student.write`.
    """
    began = time.monotonic()
    of = Transfer.open(job.teacher, delta.base, delta.student, delta.reference)
    shards, figures = of.shards(), Figures(compared=delta.reference is not None)
    count = sum(map(len, shards))
    report("start", step=0, steps=count, parameters=of.base.student.checkpoint.parameters)
    partial = begin(job.out)
    _write(of, shards, partial, figures, report)
    report("step", step=count, steps=count)
    said = figures.json()
    record = {
        **job.record(of.base.layermap),
        "delta": {
            "base": delta.base_name,
            "base_commit": delta.base_commit,
            "base_student": delta.student_key,
            **said,
        },
        # What was written says it: see `finish`.
        "frozen_embeddings": True,
        "seconds": round(time.monotonic() - began, 1),
    }
    finish(partial, job.teacher, job.out, of.base.layermap, record)
    report("delta", **said)


def _write(
    of: Transfer, shards: list[list[Role]], folder: Path, figures: Figures, report: Reporter
) -> None:
    weight_map: dict[str, str] = {}
    done, total, said = 0, 0, time.monotonic()
    for number, roles in enumerate(shards, 1):
        several = f"model-{number:05}-of-{len(shards):05}.safetensors"
        file = SINGLE if len(shards) == 1 else several
        tensors: dict[str, torch.Tensor] = {}
        for role in roles:
            report.check()
            tensors[of.teacher.architecture.name(role)] = of.tensor(role, figures)
            done += 1
            if time.monotonic() - said >= 1:
                report("step", step=done, steps=sum(map(len, shards)))
                said = time.monotonic()
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, file)
        total += sum(t.nbytes for t in tensors.values())
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _read(tensor: Tensor, start: int, stop: int) -> torch.Tensor:
    size = ITEM_BYTES[tensor.dtype]
    data = tensor.source.read(tensor.start + start * size, tensor.start + stop * size)
    return torch.frombuffer(bytearray(data), dtype=DTYPES[tensor.dtype])
