"""ByteFile: any range equals the same range of the whole, and a write is all or nothing."""

import hashlib
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import boomerang.bytefile
from boomerang.bytefile import ByteFile, Cast, Literal, Piece, Range
from boomerang.casting import caster
from boomerang.checkpoint import ITEM_BYTES, FileSource
from boomerang.errors import SourceChanged

CONTENT = np.random.default_rng(0).normal(size=300).astype(np.float32).tobytes()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    path = tmp_path_factory.mktemp("source") / "data.bin"
    path.write_bytes(CONTENT)
    return FileSource.of(path)


@st.composite
def pieces(draw: st.DrawFn) -> list[tuple[str, int, int, str, str]]:
    """Recipes of pieces: kind, start, stop, dtypes."""
    found = []
    for _ in range(draw(st.integers(0, 7))):
        kind = draw(st.sampled_from(["literal", "range", "cast"]))
        wide = draw(st.sampled_from(["F64", "F32", "F16", "BF16"]))
        narrow = draw(st.sampled_from(["F32", "F16", "BF16", "F64"]))
        width = ITEM_BYTES[wide] if kind == "cast" else 1
        start = draw(st.integers(0, 40)) * width
        length = draw(st.integers(0, 50)) * width
        found.append((kind, start, min(start + length, len(CONTENT)), wide, narrow))
    return found


def built(
    source: FileSource, recipes: list[tuple[str, int, int, str, str]]
) -> tuple[list[Piece], bytes]:
    """The pieces, and what they must give, cut from the whole content in memory."""
    made: list[Piece] = []
    whole = b""
    for kind, start, stop, wide, narrow in recipes:
        part = CONTENT[start:stop]
        if kind == "literal":
            made.append(Literal(part))
        elif kind == "range":
            made.append(Range(source, start, stop))
        else:
            made.append(Cast(source, start, stop, wide, narrow))
            part = caster(wide, narrow)(part)
        whole += part
    return made, whole


@given(pieces(), st.data(), st.sampled_from([1, 3, 7, 64, 1 << 20]))
def test_a_range_is_that_range_of_the_whole(
    source: FileSource, recipes: list[tuple[str, int, int, str, str]], data: st.DataObject,
    chunk: int,
) -> None:  # fmt: skip
    made, whole = built(source, recipes)
    file = ByteFile(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boomerang.bytefile, "CHUNK", chunk)
        assert file.size == len(whole)
        assert file.read() == whole
        assert file.sha256() == hashlib.sha256(whole).hexdigest()
        for _ in range(4):
            start = data.draw(st.integers(0, len(whole) + 3))
            stop = data.draw(st.integers(0, len(whole) + 3))
            assert file.read(start, stop) == whole[start:stop]
            assert all(0 < len(part) <= chunk for part in file.chunks(start, stop))


@given(pieces())
def test_written_is_read(
    source: FileSource, tmp_path: Path, recipes: list[tuple[str, int, int, str, str]]
) -> None:
    made, whole = built(source, recipes)
    ByteFile(made).write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_ranges_that_touch_become_one(source: FileSource) -> None:
    file = ByteFile([Range(source, 4, 8), Range(source, 8, 8), Range(source, 8, 20)])
    assert file.pieces == (Range(source, 4, 20),)
    apart = ByteFile([Range(source, 4, 8), Range(source, 9, 20)])
    assert len(apart.pieces) == 2


@pytest.mark.parametrize("number", ["EXDEV", "ENOSYS", "EINVAL"])
def test_where_the_kernel_cannot_copy(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    def refuse(*args: object, **options: object) -> int:
        raise OSError(getattr(__import__("errno"), number), "no")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    ByteFile.whole(source).write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_write_replaces_what_was_there(source: FileSource, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    ByteFile.literal("new").write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def swap(path: Path) -> None:
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, path)


def truncate(path: Path) -> None:
    times = path.stat()
    os.truncate(path, 100)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", [touch, swap, truncate, Path.unlink])
def test_a_source_that_changed_is_not_read(tmp_path: Path, change: object) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(CONTENT)
    remembered = FileSource.of(path)
    file = ByteFile([Literal(b"head"), Range(remembered, 0, 200),
                     Cast(remembered, 200, 400, "F32", "BF16")])  # fmt: skip
    change(path)  # type: ignore[operator]
    with pytest.raises(SourceChanged) as caught:
        file.read()
    assert caught.value.value == "data.bin"
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(SourceChanged):
        file.write(out / "file")
    assert list(out.iterdir()) == []


def test_a_source_that_changes_while_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "data.bin", tmp_path / "out"
    path.write_bytes(CONTENT)
    out.mkdir()
    file = ByteFile.whole(FileSource.of(path))
    copy = os.copy_file_range

    def copy_then_touch(*args: int, **options: int) -> int:
        copied = copy(*args, **options)
        touch(path)
        return copied

    monkeypatch.setattr(os, "copy_file_range", copy_then_touch)
    with pytest.raises(SourceChanged):
        file.write(out / "file")
    assert list(out.iterdir()) == []


def test_a_source_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(CONTENT)
    file = ByteFile.whole(FileSource.of(path))
    pread = os.pread

    def touch_then_pread(descriptor: int, length: int, offset: int) -> bytes:
        touch(path)
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", touch_then_pread)
    with pytest.raises(SourceChanged):
        file.read()


@pytest.mark.parametrize("kind", ["range", "cast", "literal"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """A real refusal by the kernel: the process may not write files of more than 64 KiB."""
    (tmp_path / "data.bin").write_bytes(bytes(1 << 20))
    (tmp_path / "out").mkdir()
    program = f"""
        import resource
        from pathlib import Path
        from boomerang.bytefile import ByteFile, Cast, Literal, Range
        from boomerang.checkpoint import FileSource
        folder = Path({str(tmp_path)!r})
        source = FileSource.of(folder / "data.bin")
        piece = dict(range=Range(source, 0, source.size), literal=Literal(bytes(1 << 20)),
                     cast=Cast(source, 0, source.size, "F32", "BF16"))[{kind!r}]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, {resource.RLIM_INFINITY}))
        try:
            ByteFile([piece]).write(folder / "out" / "file")
        except OSError as error:
            print("refused", error.errno)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.startswith("refused"), done.stderr
    assert list((tmp_path / "out").iterdir()) == []
