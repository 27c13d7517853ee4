"""The two formats of xet: shards say what files consist of, and xorbs hold it.

Formats: https://huggingface.co/docs/xet/shard and https://huggingface.co/docs/xet/xorb
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow

ENTRY = 48
"""Every record of a shard has 48 bytes."""
VERIFIED, DESCRIBED = 1 << 31, 1 << 30
END = b"\xff" * 32
HEADER = 8
"""Bytes before each chunk of a xorb."""
PLAIN, LZ4, GROUPED = range(3)


@dataclass(frozen=True)
class Term:
    """Chunks `start` to `end` of a xorb, `size` bytes of a file."""

    xorb: str
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class File:
    """What a file consists of."""

    hash: str
    sha256: str
    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        return sum(term.size for term in self.terms)


@dataclass(frozen=True)
class Shard:
    """`xorbs` has the hash and the size of every chunk of each that is new."""

    files: tuple[File, ...]
    xorbs: dict[str, tuple[tuple[bytes, int], ...]]


def digits(raw: bytes) -> str:
    """A xet hash as text: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def shard(data: bytes) -> Shard:
    """Read a shard; files without a sha256 are left out, since no commit could name them."""
    files, xorbs = [], {}
    at = ENTRY
    while data[at : at + 32] != END:
        hash = digits(data[at : at + 32])
        flags, count = struct.unpack_from("<II", data, at + 32)
        terms = []
        for entry in range(at + ENTRY, at + ENTRY * (1 + count), ENTRY):
            size, start, end = struct.unpack_from("<III", data, entry + 36)
            terms.append(Term(digits(data[entry : entry + 32]), start, end, size))
        at += ENTRY * (1 + count * (2 if flags & VERIFIED else 1))
        if flags & DESCRIBED:
            files.append(File(hash, digits(data[at : at + 32]), tuple(terms)))
            at += ENTRY
    at += ENTRY
    while data[at : at + 32] != END:
        (count,) = struct.unpack_from("<I", data, at + 36)
        xorbs[digits(data[at : at + 32])] = tuple(
            (data[entry : entry + 32], struct.unpack_from("<I", data, entry + 36)[0])
            for entry in range(at + ENTRY, at + ENTRY * (1 + count), ENTRY)
        )
        at += ENTRY * (1 + count)
    return Shard(tuple(files), xorbs)


def offsets(xorb: Path) -> list[int]:
    """Where each chunk begins in a xorb, and where the last one ends."""
    found = [0]
    size = xorb.stat().st_size
    with open(xorb, "rb") as file:
        while found[-1] < size:
            file.seek(found[-1])
            packed, _, _ = _header(file.read(HEADER))
            found.append(found[-1] + HEADER + packed)
    return found


def chunks(xorb: Path, at: list[int], start: int, end: int) -> Iterator[bytes]:
    """The contents of some chunks of a xorb whose offsets are `at`."""
    with open(xorb, "rb") as file:
        for number in range(start, end):
            file.seek(at[number])
            data = file.read(at[number + 1] - at[number])
            _, kind, size = _header(data)
            yield _unpacked(data[HEADER:], kind, size)


def _header(raw: bytes) -> tuple[int, int, int]:
    """Packed size, kind of packing, and size."""
    return int.from_bytes(raw[1:4], "little"), raw[4], int.from_bytes(raw[5:8], "little")


def _unpacked(data: bytes, kind: int, size: int) -> bytes:
    if kind == PLAIN:
        return data
    plain: bytes = pyarrow.Codec("lz4").decompress(data, size, asbytes=True)
    if kind == LZ4:
        return plain
    # All first bytes of groups of four stand together, then all second ones, and so on.
    grouped, out, at = np.frombuffer(plain, np.uint8), np.empty(size, np.uint8), 0
    for place in range(4):
        count = len(out[place::4])
        out[place::4] = grouped[at : at + count]
        at += count
    return out.tobytes()
