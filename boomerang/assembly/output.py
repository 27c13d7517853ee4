"""The files of a model as a folder, which appears whole or not at all, or as one tar."""

import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from boomerang.architecture.anatomy import dissect
from boomerang.assembly.bytefile import ByteFile, Literal, Piece
from boomerang.checkpoint.table import Checkpoint

Watch = Callable[[Path, int], AbstractContextManager[object]]
"""Gives what is entered while so many bytes come into a folder: a progress bar."""


def write_folder(files: Mapping[str, ByteFile], out: Path, watch: Watch | None = None) -> None:
    """Write files into a folder of a temporary name, check its headers, then rename it.

    Raises as `ByteFile.write`, `Checkpoint.open` and `dissect`.
    """
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    part.mkdir(parents=True)
    total = sum(file.size for file in files.values())
    try:
        with watch(part, total) if watch else nullcontext():
            for name, file in files.items():
                target = part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file.write(target)
        dissect(Checkpoint.open(part, out.name))
        os.rename(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


BLOCK = 512


def tar(files: Mapping[str, ByteFile], folder: str) -> ByteFile:
    """One tar with every file under `folder/`, config and other small files first."""
    pieces: list[Piece] = []
    for name, file in sorted(
        files.items(), key=lambda item: (item[0].endswith(".safetensors"), item[0])
    ):
        info = tarfile.TarInfo(f"{folder}/{name}")
        info.size = file.size
        info.mode = 0o644
        pieces.append(Literal(info.tobuf(format=tarfile.PAX_FORMAT)))
        pieces.extend(file.pieces)
        pieces.append(Literal(bytes(-file.size % BLOCK)))
    size = sum(piece.size for piece in pieces)
    end = 2 * BLOCK
    pieces.append(Literal(bytes(end + -(size + end) % tarfile.RECORDSIZE)))
    return ByteFile(pieces)
