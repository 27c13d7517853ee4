"""The tar of a member: read by tarfile and by the system's tar, and always the same bytes."""

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.assembly.bytefile import ByteFile, Range, tar
from boomerang.checkpoint.sources import FileSource

LONG = "a-name-that-is-longer-than-the-hundred-bytes-of-the-old-field-" * 3 + ".json"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    path = tmp_path_factory.mktemp("source") / "data.bin"
    path.write_bytes(os.urandom(5000))
    return FileSource.of(path)


@pytest.fixture
def files(source: FileSource) -> dict[str, ByteFile]:
    return {
        "model.safetensors": ByteFile([Range(source, 0, 512), Range(source, 700, 5000)]),
        "config.json": ByteFile.literal('{"a": 1}\n'),
        "empty.txt": ByteFile([]),
        "block.txt": ByteFile.literal("x" * 512),
        "tokenizer-é.json": ByteFile.literal("é"),
        LONG: ByteFile.literal("long"),
    }


def test_tarfile_reads_it(files: dict[str, ByteFile]) -> None:
    data = tar(files, "folder").read()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as opened:
        members = opened.getmembers()
        assert {m.name for m in members} == {f"folder/{name}" for name in files}
        for member in members:
            content = opened.extractfile(member)
            assert content is not None
            assert content.read() == files[member.name.removeprefix("folder/")].read()
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
        assert members[-1].name == "folder/model.safetensors"
    assert len(data) % tarfile.RECORDSIZE == 0


def test_the_systems_tar_reads_it(files: dict[str, ByteFile], tmp_path: Path) -> None:
    tar(files, "folder").write(tmp_path / "a.tar")
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["tar", "-xvf", "a.tar"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {p.name: p.read_bytes() for p in (tmp_path / "folder").iterdir()} == {
        name: file.read() for name, file in files.items()
    }


def test_the_same_files_are_the_same_tar(
    files: dict[str, ByteFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tar(files, "folder").sha256()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert tar(dict(reversed(files.items())), "folder").sha256() == first
    assert tar(files, "other").sha256() != first


@given(start=st.integers(0, 30_000), length=st.integers(0, 6000))
def test_a_range_of_the_tar(source: FileSource, start: int, length: int) -> None:
    files = {
        "config.json": ByteFile.literal("{}"),
        "model.safetensors": ByteFile([Range(source, 13, 4999)]),
    }
    whole = tar(files, "m")
    assert whole.read(start, start + length) == whole.read()[start : start + length]


def test_a_file_beyond_the_eight_gigabytes_of_the_old_format(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(9 << 30)
    whole = tar({"model.safetensors": ByteFile.whole(FileSource.of(tmp_path / "big"))}, "m")
    assert whole.size > 9 << 30
    head = whole.read(0, 4096)
    with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as opened:
        member = opened.next()
        assert member is not None
        assert (member.name, member.size) == ("m/model.safetensors", 9 << 30)
