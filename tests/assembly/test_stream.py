"""A Reader gives the bytes of a ByteFile, holds its descriptors, and notices what changes."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.assembly import stream as reading
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range
from boomerang.assembly.stream import BLOCK, HELD, Reader
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import SourceChanged


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ByteFile:
    """Literals, ranges and a cast, with pieces smaller and larger than a block."""
    folder = tmp_path_factory.mktemp("reading")
    (folder / "large").write_bytes(os.urandom(BLOCK * 3))
    (folder / "small").write_bytes(bytes(range(256)) * 16)
    large, small = FileSource.of(folder / "large"), FileSource.of(folder / "small")
    return ByteFile([
        Literal(b"head"), Range(large, 5, BLOCK + 77), Cast(small, 0, 4096, "F32", "BF16"),
        Literal(b"x" * 600), Range(small, 1, 4000), Range(large, 0, 3 * BLOCK),
    ])  # fmt: skip


def blocks(reader: Reader, patient: Callable[[], bool]) -> list[bytes]:
    found = []
    while True:
        block = None if patient() else reader.ready()
        block = reader.wait() if block is None else block
        if not block:
            return found
        found.append(bytes(block))


def descriptors(name: str) -> int:
    """How many descriptors of this process are files of that name."""
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    return sum(os.path.basename(os.readlink(p)) == name for p in links if p.is_symlink())


@given(start=st.integers(0, 5 * BLOCK), length=st.integers(0, 5 * BLOCK), choice=st.randoms())
def test_any_range_in_any_mixture_of_ready_and_wait(
    file: ByteFile, start: int, length: int, choice: object
) -> None:
    reader = Reader.of(file, start, start + length)
    found = blocks(reader, lambda: choice.random() < 0.3)  # type: ignore[attr-defined]
    reader.close()
    assert b"".join(found) == file.read(start, start + length)
    assert all(len(block) == BLOCK for block in found[:-1])


def test_descriptors_are_held_while_it_reads_and_closed_with_it(file: ByteFile) -> None:
    before = descriptors("large")
    reader = Reader.of(file)
    assert reader.ready() is None, "opening a file may have to wait"
    reader.wait()
    reader.wait()
    assert descriptors("large") == before + 1
    reader.close()
    assert descriptors("large") == before
    with pytest.raises(ValueError, match="closed"):
        reader.wait()


def test_only_a_few_descriptors_are_held(tmp_path: Path) -> None:
    pieces = []
    for i in range(3 * HELD):
        (tmp_path / f"shard{i}").write_bytes(b"%03d" % i)
        pieces.append(Range(FileSource.of(tmp_path / f"shard{i}"), 0, 3))
    reader = Reader.of(ByteFile(pieces * 2))
    assert reader.wait() == b"".join(b"%03d" % i for i in range(3 * HELD)) * 2
    assert sum(descriptors(f"shard{i}") for i in range(3 * HELD)) == HELD
    reader.close()
    assert sum(descriptors(f"shard{i}") for i in range(3 * HELD)) == 0


def test_where_the_system_cannot_read_without_waiting(
    file: ByteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv

    def refuses(fd: int, buffers: list[memoryview], at: int, flags: int = 0) -> int:
        if flags:
            raise OSError(95, "Operation not supported")
        return real(fd, buffers, at)

    monkeypatch.setattr(os, "preadv", refuses)
    reader = Reader.of(file)
    assert b"".join(blocks(reader, lambda: False)) == file.read()
    reader.close()
    monkeypatch.setattr(reading, "_NOWAIT", None)
    reader = Reader.of(file)
    assert b"".join(blocks(reader, lambda: False)) == file.read()
    reader.close()


@pytest.mark.parametrize("how", ["touched", "truncated", "grown"])
@pytest.mark.parametrize("ready", [True, False])
def test_a_source_that_changes_gives_nothing_more(tmp_path: Path, how: str, ready: bool) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(3 * BLOCK))
    reader = Reader.of(ByteFile.whole(FileSource.of(path)))
    reader.wait()
    if how == "touched":
        os.utime(path, ns=(1, 1))
    else:
        os.truncate(path, BLOCK + 10 if how == "truncated" else 4 * BLOCK)
    with pytest.raises(SourceChanged, match="weights"):
        (ready and reader.ready()) or reader.wait()
    reader.close()
    assert descriptors("weights") == 0


def test_a_file_replaced_by_another_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 2 * BLOCK)
    source = FileSource.of(path)
    reader = Reader.of(ByteFile.whole(source))
    reader.wait()
    (tmp_path / "new").write_bytes(b"b" * 2 * BLOCK)
    (tmp_path / "new").rename(path)
    assert reader.wait() == b"a" * BLOCK
    reader.close()
    with pytest.raises(SourceChanged):
        Reader.of(ByteFile.whole(source)).wait()


def test_closing_waits_for_the_read_under_way() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        name, size = "slow", 4

        def read(self, start: int, stop: int) -> bytes:
            entered.set()
            leave.wait(10)
            return b"slow"[start:stop]

    reader = Reader.of(ByteFile([Range(Slow(), 0, 4)]))
    got: list[bytes] = []
    one = threading.Thread(target=lambda: got.append(bytes(reader.wait())))
    other = threading.Thread(target=reader.close)
    one.start()
    assert entered.wait(10)
    other.start()
    other.join(0.05)
    assert other.is_alive()
    leave.set()
    one.join()
    other.join()
    assert got == [b"slow"]
