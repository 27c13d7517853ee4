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
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from boomerang.architecture.anatomy import Anatomy, dissect
from boomerang.architecture.supported import Part, Role
from boomerang.checkpoint.files import INDEX, SINGLE
from boomerang.checkpoint.header import ITEM_BYTES, Tensor
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import Delta, DistillJob
from boomerang.distill.students.figures import Figures
from boomerang.distill.students.writing import begin, finish
from boomerang.errors import StudentMismatch, TrainingFailed
from boomerang.family.pair import Pair
from boomerang.family.related import check_fine_tune
from boomerang.modules.load import DTYPES
from boomerang.processes.reporting import Reporter

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

    def name(self, role: Role) -> str:
        """The name a role is stored under."""
        return self.teacher.architecture.name(role)

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
            raise TrainingFailed(
                f"{self.name(role)} of the student is not finite.",
                value=self.name(role),
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
    """The weight files, one after another, and their index where there are several."""
    weight_map: dict[str, str] = {}
    done, total, said = 0, 0, time.monotonic()
    for number, roles in enumerate(shards, 1):
        several = f"model-{number:05}-of-{len(shards):05}.safetensors"
        file = SINGLE if len(shards) == 1 else several
        tensors: dict[str, torch.Tensor] = {}
        for role in roles:
            report.check()
            tensors[of.name(role)] = of.tensor(role, figures)
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
    """Elements [start, stop) of a stored tensor, flat."""
    size = ITEM_BYTES[tensor.dtype]
    data = tensor.source.read(tensor.start + start * size, tensor.start + stop * size)
    return torch.frombuffer(bytearray(data), dtype=DTYPES[tensor.dtype])
