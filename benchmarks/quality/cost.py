"""What measuring a whole family costs, beside each member by itself and beside arithmetic.

The contenders take turns in one process, on the same windows, and are told apart by the processor
time they take: the machine is shared, and its clock on the wall is not this process's own.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from benchmarks.distillation.shapes import Shape, random_teacher
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.students.student import initialise, student_config
from boomerang.family.composition import Composition, Side, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.quality.measure import Quality, measure, quality
from boomerang.quality.target import LOSSES, Target
from boomerang.quality.walk import whole_teacher

ORDERS = {"last": last_to_first, "first": first_to_last}


@dataclass(frozen=True)
class Cost:
    """One order on one shape: seconds of processor of each round, and counts of layers."""

    order: str
    shared: list[float]
    apart: list[float]
    ends: list[float]
    layer: list[float]
    layers_shared: int
    layers_apart: int

    @property
    def arithmetic(self) -> list[float]:
        """What the shared work needs in each round: its layers, and every member's own ends."""
        pairs = zip(self.ends, self.layer, strict=True)
        return [ends + self.layers_shared * layer for ends, layer in pairs]

    @property
    def by_arithmetic(self) -> float:
        """The shared walk's time over what arithmetic says: the median of the rounds' ratios."""
        return _ratio(self.shared, self.arithmetic)

    @property
    def by_apart(self) -> float:
        """The shared walk's time over that of measuring each member by itself."""
        return _ratio(self.shared, self.apart)

    @property
    def expected(self) -> float:
        """What the latter would be by arithmetic, each member's own ends counted."""
        return _ratio(self.arithmetic, self.apart)

    @property
    def of_layers(self) -> float:
        """The share of layers alone."""
        return self.layers_shared / self.layers_apart


def _ratio(one: Sequence[float], other: Sequence[float]) -> float:
    return median(a / b for a, b in zip(one, other, strict=True))


def costs(both: Couple, windows: Tensor, rounds: int) -> list[Cost]:
    """Measure both fixed orders' families over windows (W, T + 1), `rounds` times in turn."""
    ladders = {name: members_of(both.layermap, of(both.layermap)) for name, of in ORDERS.items()}
    depth = len(both.teacher.layers) + len(both.student.layers)
    contenders: dict[str, Callable[[], object]] = {
        "ends": lambda: _ends(both, windows, len(ladders["last"]) - 1),
        "layers": lambda: _layers(both, windows),
    }
    for name, members in ladders.items():
        contenders[f"{name} shared"] = lambda members=members: measure(both, windows, members)
        contenders[f"{name} apart"] = lambda members=members: apart(both, windows, members)
    took: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.process_time()
            contender()
            if number:  # The first round is not counted: it finds nothing in the caches.
                took[name].append(time.process_time() - start)
    layer = [seconds / depth for seconds in took["layers"]]
    return [
        Cost(
            name,
            took[f"{name} shared"],
            took[f"{name} apart"],
            took["ends"],
            layer,
            shared_layers(members),
            sum(len(member.layers) for member in members),
        )
        for name, members in ladders.items()
    ]


def shared_layers(members: Iterable[Composition]) -> int:
    """Passes through one layer that these members need, none made twice; embeddings are equal."""
    begun = set()
    for member in members:
        layers = [(layer.side, layer.index) for layer in member.layers]
        begun |= {tuple(layers[: n + 1]) for n in range(len(layers))}
    return len(begun)


@torch.no_grad()
def apart(both: Couple, windows: Tensor, members: Sequence[Composition]) -> list[Quality]:
    """Each member through all of its own layers; the teacher's distribution is kept for all.

    The strictest thing to beat: the teacher's own pass serves as target and as a member.
    """
    found: dict[str, list[Tensor]] = {member.code: [] for member in members}
    for inputs, labels in _batches(windows):
        teacher = both.teacher
        embedded = teacher.embed(inputs)
        target = _target(both, _through(teacher, embedded), labels)
        for member in members:
            if member == whole_teacher(both):
                found[member.code].append(target.of_teacher()[:, :LOSSES])
                continue
            start = both.side(member.embeddings).embed(inputs)
            *_, last = both.walk(member, start, both.side(member.embeddings).context(start))
            hidden = both.side(member.norm).norm(last)
            found[member.code].append(target.compare(hidden, both.side(member.head).head))
    tokens = windows.shape[1] - 1
    return [quality(torch.cat(found[member.code]), tokens) for member in members]


@torch.no_grad()
def _ends(both: Couple, windows: Tensor, compared: int) -> None:
    """Everything but layers: embeddings, the target, and a head for each member compared."""
    for inputs, labels in _batches(windows):
        embedded = both.teacher.embed(inputs)
        both.teacher.context(embedded)
        target = _target(both, embedded, labels)
        for _ in range(compared):
            target.compare(both.student.norm(embedded), both.student.head)


@torch.no_grad()
def _layers(both: Couple, windows: Tensor) -> None:
    """Every layer of teacher and student once."""
    for inputs, _ in _batches(windows):
        for side in Side:
            _through(both.side(side), both.side(side).embed(inputs))


def _through(model: Causal, hidden: Tensor) -> Tensor:
    context = model.context(hidden)
    for index in range(len(model.layers)):
        hidden = model.layer(index, hidden, context)
    return hidden


def _target(both: Couple, hidden: Tensor, labels: Tensor) -> Target:
    return Target(both.teacher.head(both.teacher.norm(hidden)), labels)


def _batches(windows: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    for ids in torch.split(windows, 16):
        yield ids[:, :-1], ids[:, 1:]


def from_folder(folder: Path) -> Couple:
    """A teacher and its student before it is trained: it costs what a trained one does."""
    layermap = LayerMap.published(int(Checkpoint.open(folder).config["num_hidden_layers"]))
    teacher = load(folder, dtype=torch.float32)
    config = student_config(Checkpoint.open(folder), layermap)
    return couple(teacher, initialise(teacher, config, layermap), layermap)


def from_shape(shape: Shape) -> Couple:
    """A teacher and a student of random numbers that embed alike, as they do where frozen."""
    layermap = LayerMap.published(shape.layers)
    teacher = Causal(random_teacher(shape))
    student = Causal(random_teacher(replace(shape, layers=len(layermap.kept))))
    student.tokens.load_state_dict(teacher.tokens.state_dict())
    return couple(teacher, student, layermap)


def random_windows(shape: Shape) -> Tensor:
    """Windows of random token ids: (batch, length + 1)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(shape.vocabulary, (shape.batch, shape.length + 1), generator=generator)
