"""The memory that measuring takes, each contender in a process of its own.

`python -m benchmarks.quality.memory CONTENDER LAYERS WIDTH VOCABULARY BATCH LENGTH 1` prints the
peak in MB (10⁶ bytes).
"""

import re
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.distillation.shapes import Shape
from benchmarks.quality.cost import ORDERS, apart, from_shape, random_windows
from boomerang.family.composition import Composition
from boomerang.family.order_forms import members_of
from boomerang.modules.couple import Couple
from boomerang.quality.measure import measure


def _members(both: Couple, order: str) -> list[Composition]:
    return members_of(both.layermap, ORDERS[order](both.layermap))


def _copied(both: Couple, windows: Tensor) -> None:
    """Each member of order last has weights of its own while it is measured, as a model built."""
    for member in _members(both, "last"):
        modules = [both.side(layer.side).layers[layer.index] for layer in member.layers]
        own = deepcopy([*modules, *both.side(member.embeddings).embeddings])
        apart(both, windows, [member])
        del own


CONTENDERS: dict[str, tuple[str, Callable[[Couple, Tensor], object]]] = {
    "loaded": ("teacher and student loaded, nothing measured", lambda both, windows: None),
    "one": (
        "one member (the student) by itself",
        lambda both, windows: apart(both, windows, _members(both, "last")[:1]),
    ),
    "last": (
        "the whole family, order last",
        lambda both, windows: measure(both, windows, _members(both, "last")),
    ),
    "first": (
        "the whole family, order first",
        lambda both, windows: measure(both, windows, _members(both, "first")),
    ),
    "copied": ("each member built as a copy, one at a time", _copied),
}


def peak() -> float:
    """The most memory this process has had since it began, in MB.

    Not getrusage: a process inherits there what the one that started it had.
    """
    said = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(said[1]) * 1024 / 1e6 if said else 0.0


def peaks(shape: Shape) -> dict[str, float]:
    """The peak of each contender in MB, by its title."""
    module = [sys.executable, "-m", "benchmarks.quality.memory"]
    found = {}
    for name, (title, _) in CONTENDERS.items():
        command = [*module, name, *shape.arguments]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[title] = float(told.stdout.split()[-1])
    return found


def main(arguments: list[str]) -> None:
    """Run one contender."""
    shape = Shape(*map(int, arguments[1:]))
    both, windows = from_shape(shape), random_windows(shape)
    with torch.no_grad():
        CONTENDERS[arguments[0]][1](both, windows)
    print(peak())


if __name__ == "__main__":
    main(sys.argv[1:])
