"""ByteFile: any range equals the same range of the whole, and a write is all or nothing."""

import errno
import fcntl
import hashlib
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import boomerang.assembly.bytefile
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Piece, Range
from boomerang.assembly.followers import WINDOW
from boomerang.assembly.writing import BUFFER, HELD, PAGE
from boomerang.checkpoint.casting import caster
from boomerang.checkpoint.header import ITEM_BYTES
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import SourceChanged
from tests.support.places import ROOT

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
        patch.setattr(boomerang.assembly.bytefile, "CHUNK", chunk)
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
    for digest in (None, hashlib.sha256()):
        ByteFile(made).write(tmp_path / "out", digest=digest)
        assert (tmp_path / "out").read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert digest is None or digest.digest() == hashlib.sha256(whole).digest()


LONG = np.random.default_rng(1).bytes(2 * WINDOW + 3 * BUFFER + 5)
"""Longer than what is copied, buffered or flushed at a time."""


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    path = tmp_path_factory.mktemp("long") / "long.bin"
    path.write_bytes(LONG)
    return FileSource.of(path)


@pytest.mark.parametrize("sync", [True, False])
def test_a_long_file_is_written(long: FileSource, tmp_path: Path, sync: bool) -> None:
    narrow = (len(LONG) - 1) // 4 * 4
    file = ByteFile(
        [Literal(LONG), Range(long, 1, long.size), Cast(long, 0, narrow, "F32", "BF16")]
    )
    digest = hashlib.sha256()
    file.write(tmp_path / "hashed", digest=digest, sync=sync)
    file.write(tmp_path / "plain", sync=sync)
    wanted = LONG + LONG[1:] + caster("F32", "BF16")(LONG[:narrow])
    assert (tmp_path / "plain").read_bytes() == wanted
    assert (tmp_path / "hashed").read_bytes() == wanted
    assert digest.hexdigest() == hashlib.sha256(wanted).hexdigest() == file.sha256()


@pytest.mark.parametrize("call", ["copy_file_range", "splice", "preadv", "write"])
def test_the_kernel_may_do_less_than_it_is_asked(
    long: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real = getattr(os, call)

    def little(first: int, second: Any, *rest: int, **options: int) -> int:
        if call in ("copy_file_range", "splice"):
            return int(real(first, second, min(rest[0], 1_000_001 // len(call)), **options))
        if call == "preadv":
            return int(real(first, [second[0][:10_007]], *rest))
        return int(real(first, second[:10_007]))

    monkeypatch.setattr(os, call, little)
    if call in ("preadv", "write"):
        monkeypatch.delattr(os, "splice")
    for digest in (None, hashlib.sha256()):
        file = ByteFile([Range(long, 0, long.size), Range(long, 5, long.size)])
        file.write(tmp_path / "out", digest=digest)
        assert (tmp_path / "out").read_bytes() == LONG + LONG[5:]


def test_only_what_keeps_its_place_in_a_page_is_copied_in_the_kernel(
    long: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []
    real = os.copy_file_range

    def noting(*arguments: Any, offset_src: int) -> int:
        copied.append(offset_src)
        return real(*arguments, offset_src=offset_src)

    monkeypatch.setattr(os, "copy_file_range", noting)
    pieces = [Range(long, PAGE, PAGE + 9), Range(long, 10, 90), Range(long, PAGE + 89, 2 * PAGE)]
    ByteFile(pieces).write(tmp_path / "out")
    assert copied == [PAGE, PAGE + 89]
    written = (tmp_path / "out").read_bytes()
    assert written == LONG[PAGE : PAGE + 9] + LONG[10:90] + LONG[PAGE + 89 : 2 * PAGE]


def test_a_source_is_opened_once_for_many_pieces(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of many experts has tens of thousands of small tensors."""
    others = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(CONTENT)
        others.append(FileSource.of(tmp_path / name))
    opened: list[str] = []
    real = os.open

    def counting(path: Any, *arguments: Any, **options: Any) -> int:
        opened.append(Path(path).name)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", counting)
    ByteFile(Range(others[i % 2], i, i + 3) for i in range(600)).write(tmp_path / "out")
    assert sorted(opened) == ["a", "b"]
    assert (tmp_path / "out").read_bytes() == b"".join(CONTENT[i : i + 3] for i in range(600))


def test_more_sources_than_may_be_open(tmp_path: Path) -> None:
    sources = []
    for number in range(3 * HELD):
        (tmp_path / str(number)).write_bytes(bytes([number]) * 5)
        sources.append(FileSource.of(tmp_path / str(number)))
    before = len(os.listdir("/proc/self/fd"))
    ByteFile(Range(one, 1, 3) for one in sources * 2).write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == bytes(n for n in range(3 * HELD) for _ in "xx") * 2
    assert len(os.listdir("/proc/self/fd")) == before


def test_ranges_that_touch_become_one(source: FileSource) -> None:
    file = ByteFile([Range(source, 4, 8), Range(source, 8, 8), Range(source, 8, 20)])
    assert file.pieces == (Range(source, 4, 20),)
    apart = ByteFile([Range(source, 4, 8), Range(source, 9, 20)])
    assert len(apart.pieces) == 2


@pytest.mark.parametrize("number", ["EXDEV", "ENOSYS", "EINVAL", "EOPNOTSUPP", "EPERM"])
@pytest.mark.parametrize("after", [0, 1])
def test_where_the_kernel_cannot_copy(
    long: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, after: int
) -> None:
    asked = 0
    copy = os.copy_file_range

    def refuse(*arguments: Any, **options: Any) -> int:
        nonlocal asked
        asked += 1
        if asked <= after:
            return copy(*arguments, **options)
        raise OSError(getattr(errno, number), "no")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    size = long.size // PAGE * PAGE
    file = ByteFile([Range(long, 0, size), Range(long, 0, 7), Literal(b"!"), Range(long, 8, 99)])
    file.write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == LONG[:size] + LONG[:7] + b"!" + LONG[8:99]
    assert asked == after + 1, "it is not asked again for a source for which it cannot"


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_where_the_kernel_cannot_pass_bytes_through_a_pipe(
    long: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    asked = 0
    splice = os.splice

    def refuse(*arguments: Any, **options: Any) -> int:
        nonlocal asked
        asked += 1
        if asked <= after:
            return splice(*arguments, **options)
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(os, "splice", refuse)
    before = len(os.listdir("/proc/self/fd"))
    file = ByteFile([Literal(b"!"), Range(long, 0, long.size), Range(long, 5, 99_999)])
    file.write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"!" + LONG + LONG[5:99_999]
    assert asked == after + 1, "it is not asked again where it cannot"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_pipe_may_be_small(
    long: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unprivileged user with much memory in pipes gets no larger ones."""
    real = fcntl.fcntl

    def refuse(descriptor: int, call: int, *arguments: int) -> Any:
        if call == fcntl.F_SETPIPE_SZ:
            raise PermissionError(errno.EPERM, "no")
        return real(descriptor, call, *arguments)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    ByteFile([Literal(b"!"), Range(long, 3, long.size)]).write(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"!" + LONG[3:]


def test_where_there_is_no_such_call(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "copy_file_range")
    monkeypatch.delattr(os, "posix_fadvise")
    monkeypatch.delattr(os, "splice")
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


WAYS = {
    "in the kernel": lambda source, size: ({}, Range(source, 0, size)),
    "through a pipe": lambda source, size: ({}, Range(source, 1, size)),
    "through memory": lambda source, size: ({}, Range(source, 1, size)),
    "hashed": lambda source, size: ({"digest": hashlib.sha256()}, Range(source, 0, size)),
    "cast": lambda source, size: ({}, Cast(source, 0, size // 4 * 4, "F32", "BF16")),
}
"""How bytes come to the disk: options of `write`, and a piece."""


def each_read(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Have something happen after every read or copy of a source."""
    for name in ("copy_file_range", "splice", "preadv"):
        if not hasattr(os, name):
            continue
        real = getattr(os, name)

        def read(*arguments: Any, real: Callable[..., int] = real, **options: Any) -> int:
            done = real(*arguments, **options)
            then()
            return done

        monkeypatch.setattr(os, name, read)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", [touch, truncate])
def test_a_source_that_changes_in_mid_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, change: Callable[[Path], None]
) -> None:
    """The error comes, whatever was copied by then, and no descriptor stays open."""
    path, out = tmp_path / "long.bin", tmp_path / "out"
    path.write_bytes(LONG)
    out.mkdir()
    options, piece = WAYS[way](FileSource.of(path), len(LONG))
    before = len(os.listdir("/proc/self/fd"))
    if way == "through memory":
        monkeypatch.delattr(os, "splice")
    each_read(monkeypatch, lambda: change(path))
    with pytest.raises(SourceChanged):
        ByteFile([piece, Literal(b"tail")]).write(out / "file", **options)
    assert list(out.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("way", WAYS)
def test_a_read_error_in_mid_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: FileSource, way: str
) -> None:
    reads = 0

    def fail_later() -> None:
        nonlocal reads
        reads += 1
        if reads == 2:
            raise OSError(errno.EIO, "Input/output error")

    options, piece = WAYS[way](long, len(LONG))
    before = len(os.listdir("/proc/self/fd"))
    if way == "through memory":
        monkeypatch.delattr(os, "splice")
    each_read(monkeypatch, fail_later)
    with pytest.raises(OSError, match="Input/output"):
        ByteFile([piece]).write(tmp_path / "file", **options)
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_flush_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: FileSource
) -> None:
    """A disk that fills up only when the pages are flushed says so at the fsync."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        ByteFile.whole(long).write(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("kind", ["range", "hashed", "cast", "literal"])
@pytest.mark.parametrize("limit", [1 << 16, WINDOW + (1 << 16)])
def test_a_full_disk_leaves_nothing(tmp_path: Path, kind: str, limit: int) -> None:
    """A real refusal by the kernel, in mid-copy: the process may not write longer files."""
    size = 2 * WINDOW if kind != "cast" else 4 * WINDOW
    with open(tmp_path / "data.bin", "wb") as file:
        file.truncate(size)
    (tmp_path / "out").mkdir()
    program = f"""
        import hashlib, resource
        from pathlib import Path
        from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range
        from boomerang.checkpoint.table import FileSource
        folder = Path({str(tmp_path)!r})
        source = FileSource.of(folder / "data.bin")
        piece = dict(range=Range(source, 0, source.size), hashed=Range(source, 0, source.size),
                     literal=Literal(bytes(source.size)),
                     cast=Cast(source, 0, source.size, "F32", "BF16"))[{kind!r}]
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {resource.RLIM_INFINITY}))
        try:
            digest = hashlib.sha256() if {kind!r} == "hashed" else None
            ByteFile([piece]).write(folder / "out" / "file", digest=digest)
        except OSError as error:
            print("refused", error.errno)
    """
    assert python(program).startswith("refused")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("way", ["range", "hashed", "cast"])
def test_memory_does_not_depend_on_the_size(tmp_path: Path, way: str) -> None:
    """Peak resident memory of a process that writes 64 MiB and of one that writes 1."""
    program = """
        import hashlib, os, resource
        from pathlib import Path
        from boomerang.assembly.bytefile import ByteFile, Cast, Range
        from boomerang.checkpoint.casting import caster
        from boomerang.checkpoint.table import FileSource
        path, way = Path({path!r}), {way!r}
        with path.open("wb") as file:
            file.truncate({size})
        source = FileSource.of(path)
        piece = Range(source, 0, source.size)
        if way == "cast":
            piece = Cast(source, 0, source.size, "F32", "BF16")
        digest = hashlib.sha256() if way == "hashed" else None
        ByteFile([piece]).write(path.with_name("out"), digest=digest, sync=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    small, large = (
        int(python(program.format(path=str(tmp_path / "in"), way=way, size=size)))
        for size in (1 << 20, 1 << 26)
    )
    assert large - small < 4096, "KiB"


def python(program: str) -> str:
    """What a program in a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return done.stdout
