"""What is said of homes: whether files can be kept there, and whether there is room."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor import home as module
from boomerang.service.upkeep.doctor.finding import Finding
from boomerang.service.upkeep.doctor.home import home, temporary

NOBODY = 65534


def found(folder: Path) -> dict[str, Finding]:
    return {one.name: one for one in home(Settings(home=folder))}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, whom no folder refuses."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_home_in_which_everything_works(tmp_path: Path) -> None:
    (tmp_path / "students").mkdir()
    said = found(tmp_path)
    assert "fail" not in {one.state for one in said.values()}
    assert said["home"].state == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["students"]


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    assert found(tmp_path / "deep" / "home")["home"].state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "home"):
        assert found(folder)["home"].state == "fail"


def test_a_home_that_cannot_be_written() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        for mode, why in ((0o555, "written: Permission denied"), (0o000, "")):
            folder.chmod(mode)
            with as_nobody():
                said = found(folder if why else folder / "home")["home"]
            assert said.state == "fail"
            assert why in said.said
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_more_will_be_taken_than_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wanted_bytes", lambda _: 1 << 60)
    said = found(tmp_path)["disk"]
    assert (said.state, "boomerang gc" in said.fix) == ("fail", True)
    monkeypatch.setattr(module, "wanted_bytes", lambda _: 0)
    monkeypatch.setattr(module, "FEW_BYTES", 1 << 60)
    assert found(tmp_path)["disk"].state == "warn"


def test_folders_on_another_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is but one file system here")
    (tmp_path / "members").symlink_to(other)
    said = found(tmp_path)["home's folders"]
    assert (said.state, said.value) == ("warn", ["members"])


def test_little_room_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.state for one in temporary(Settings(home=tmp_path))] == ["ok"]
    monkeypatch.setattr(module, "TEMPORARY_BYTES", 1 << 60)
    assert [one.state for one in temporary(Settings(home=tmp_path))] == ["warn"]
