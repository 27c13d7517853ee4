"""A file of byte ranges as one that is open for reading."""

import io
import os
import random
from pathlib import Path

from boomerang.assembly.bytefile import ByteFile, Literal, Range
from boomerang.checkpoint.sources import FileSource
from boomerang.hub.publishing.reader import Reader


def test_it_reads_as_a_file_does(tmp_path: Path) -> None:
    choose = random.Random(3)
    data = choose.randbytes(3 << 20)
    (tmp_path / "data").write_bytes(data)
    source = FileSource.of(tmp_path / "data")
    content = ByteFile([Literal(b"head"), Range(source, 5, 2 << 20), Range(source, 0, 1 << 20)])
    there = io.BytesIO(b"head" + data[5 : 2 << 20] + data[: 1 << 20])
    told: list[int] = []
    reader = Reader(content, told.append)
    for _ in range(60):
        size = choose.choice([0, 1, 700, 1 << 16, 3 << 20, -1])
        if choose.random() < 0.4:
            place = choose.choice([0, 3, 4, 1 << 20, content.size, content.size + 9])
            whence = choose.choice([os.SEEK_SET, os.SEEK_END]) if place == 0 else os.SEEK_SET
            assert reader.seek(place, whence) == there.seek(place, whence)
        assert reader.read(size) == there.read(size)
        assert reader.tell() == there.tell()
    assert told == sorted(set(told)), "what is read again is told once"
    assert told[-1] == content.size
