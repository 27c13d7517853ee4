"""The files of a member as one tar, addressable like every other ByteFile.

Times and owners are fixed and names are sorted, so the same member is the same tar, byte for
byte, and a broken download can be resumed. Format: POSIX.1-2001 (PAX).
"""

import tarfile
from collections.abc import Mapping

from boomerang.assembly.bytefile import ByteFile, Literal, Piece

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
