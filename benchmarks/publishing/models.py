"""A teacher and a student in the shape of a Llama, of random bytes that no compression makes less.

Every number is drawn, and none twice: what a store recognises, it recognises because it was sent.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.assembly.models import Shape, config, tensors

WIDE = Shape(1024, 2816, 16, 32000, 14)
"""A teacher of 462 MB and a student of 297 MB, with a family of eight sizes."""
WIDER = Shape(1920, 5120, 15, 32000, 14)
"""Eight sizes that are together more than 8 GB."""
SMALL = Shape(256, 704, 4, 4096, 14)
"""Eight sizes of 15 to 25 MB, for what is done many times."""
TOY = Shape(64, 96, 2, 256, 14)


def make(folder: Path, shape: Shape, tied: bool = False, number: int = 0) -> None:
    """Write `teacher` and `student` below a folder; a `number` is part of their names."""
    teacher, student = names(number)
    _write(folder / teacher, shape, shape.layers, 2 * number, tied)
    _write(folder / student, shape, len(shape.kept), 2 * number + 1, tied)
    said = json.dumps({"copied_teacher_layers": list(shape.kept)})
    (folder / student / "student_config.json").write_text(said)


def names(number: int) -> tuple[str, str]:
    """What teacher and student of a number are called."""
    return (f"teacher-{number}", f"student-{number}") if number else ("teacher", "student")


def _write(folder: Path, shape: Shape, layers: int, seed: int, tied: bool) -> None:
    folder.mkdir(parents=True)
    said = config(shape, layers, "BF16") | {"tie_word_embeddings": tied}
    (folder / "config.json").write_text(json.dumps(said, indent=1))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    sizes, position = [], 0
    for name, dimensions in tensors(shape, layers):
        if tied and name == "lm_head.weight":
            continue
        sizes.append(int(np.prod(dimensions)) * 2)
        offsets = [position, position + sizes[-1]]
        header[name] = {"dtype": "BF16", "shape": dimensions, "data_offsets": offsets}
        position += sizes[-1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draw = np.random.default_rng(seed)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for size in sizes:
            file.write(draw.bytes(size))
