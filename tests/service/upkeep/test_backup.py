"""A home is copied while it is used, and is the same again elsewhere, or nothing is there."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.errors import BadRequest, NotFound
from boomerang.service.settings import Settings
from boomerang.service.upkeep.archive import SUMS, Damaged, Folder
from boomerang.service.upkeep.backup import ABOUT, backup
from boomerang.service.upkeep.restore import restore
from tests.catalog.conftest import new_family, new_student, rungs

pytestmark = pytest.mark.slow("homes are copied, read back and restored")

READY, LOST, BAD, KEPT = "a" * 32, "b" * 32, "c" * 32, "d" * 32


def fill(folder: Path, word: str) -> dict[str, str]:
    """A student's folder; the sha256 of its weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"layers": 3}')
    (folder / "model.safetensors").write_bytes(word.encode() * 70_000)
    (folder / "elsewhere").symlink_to("/etc/hostname")
    return {"model.safetensors": hashlib.sha256(word.encode() * 70_000).hexdigest()}


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A service with one student that is whole, and one of each that is not to be copied."""
    settings = Settings(home=tmp_path / "first")
    catalog = Catalog(settings.database_url)
    for key, there in ((READY, "ready"), (LOST, ""), (BAD, "bad"), (KEPT, "kept")):
        catalog.create_family(new_family(key), new_student(key), rungs())
        catalog.set_student_state(key, StudentState.DISTILLING)
        files = {"model.safetensors": "0" * 64}
        if there:
            files = fill(settings.student_folder(key), there)
        catalog.student_whole(key, files, made=True)
    catalog.create_family(new_family("e" * 32), new_student("e" * 32), rungs())
    with catalog.db.write() as session:
        session.execute(
            text("UPDATE students SET hub_repo = 'me/x', hub_commit = :c WHERE key = :k"),
            {"c": "c" * 40, "k": KEPT},
        )
    catalog.close()
    (settings.student_folder(BAD) / "model.safetensors").write_bytes(b"another")
    return settings


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("name", ["copy", "copy.tar"])
def test_a_home_is_the_same_again_elsewhere(
    home: Settings, tmp_path: Path, name: str, url: str
) -> None:
    target, told = tmp_path / "backups" / name, []
    catalog = Catalog(home.database_url)
    made = backup(home, target, told=lambda *at: told.append(at))
    assert (made.missing, made.damaged, made.on_hub) == ([LOST], [BAD], [])
    assert made.students == [READY, KEPT]
    assert made.bytes > 500_000
    assert {what for what, _ in told} >= {"rows of the catalog", "the catalog", "reading students"}
    assert [path.name for path in target.parent.iterdir()] == [name]
    assert stat.S_IMODE(target.stat().st_mode) & 0o077 == 0
    # What came afterwards is not in it.
    catalog.student_note(READY, "verified", {})
    catalog.close()
    elsewhere = Settings(home=tmp_path / "elsewhere", database_url=url)
    found = restore(elsewhere, target)
    assert (found.students, found.rows) == ([READY, KEPT], made.rows)
    for key in (READY, KEPT):
        assert tree(elsewhere.student_folder(key)) == tree(home.student_folder(key))
        assert "elsewhere" not in os.listdir(elsewhere.student_folder(key))
    assert not elsewhere.student_folder(BAD).exists()
    assert not [path for path in elsewhere.home.iterdir() if path.name.startswith(".")]
    before, after = Catalog(home.database_url), Catalog(url)
    assert after.events_after(0) == before.events_after(0)[:-1]
    assert after.student(READY) == before.student(READY)
    before.close()
    after.close()
    # Neither a home nor a catalog that has something in it is written over.
    with pytest.raises(BadRequest, match="students in"):
        restore(elsewhere, target)
    with pytest.raises(BadRequest, match="rows in"):
        restore(Settings(home=tmp_path / "third", database_url=url), target)
    with pytest.raises(BadRequest, match="there already"):
        backup(home, target)


def test_a_folder_is_linked_and_checked_by_everybodys_tools(home: Settings, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    backup(home, target)
    weights = Path("students", READY, "model.safetensors")
    assert (target / weights).stat().st_ino == (home.home / weights).stat().st_ino
    done = subprocess.run(["sha256sum", "-c", "--quiet", SUMS], cwd=target, check=False)
    assert done.returncode == 0
    listed = {line.split("  ")[1] for line in (target / SUMS).read_text().splitlines()}
    assert listed == set(tree(target)) - {SUMS}
    about = json.loads((target / ABOUT).read_text())
    assert about["damaged"] == [BAD]


def test_students_are_left_out_where_somebody_says_so(home: Settings, tmp_path: Path) -> None:
    made = backup(home, tmp_path / "a", kept=False)
    assert (made.students, made.on_hub) == ([READY], [KEPT])
    made = backup(home, tmp_path / "b", students=False)
    assert (made.students, made.missing, made.damaged) == ([], [], [])
    assert not (tmp_path / "b" / "students").exists()
    restore(Settings(home=tmp_path / "again"), tmp_path / "b")
    with pytest.raises(NotFound, match="no catalog"):
        backup(Settings(home=tmp_path / "nowhere"), tmp_path / "c")
    assert not (tmp_path / "nowhere").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def _flip(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).unlink()
    (folder / name).write_bytes(bytes(content))


def _climb(folder: Path) -> None:
    sums = (folder / SUMS).read_text()
    (folder / SUMS).write_text(sums + f"{'0' * 64}  students/../../up\n")


WRONG: dict[str, Callable[[Path], None]] = {
    "a bit of a student": lambda at: _flip(at, f"students/{READY}/model.safetensors"),
    "a bit of the catalog": lambda at: _flip(at, "catalog/families.jsonl"),
    "a file is gone": lambda at: (at / f"students/{READY}/config.json").unlink(),
    "no list of sums": lambda at: (at / SUMS).unlink(),
    "a name that leads out": _climb,
    "a later format": lambda at: _newer(at),
}


def _newer(folder: Path) -> None:
    about = json.loads((folder / ABOUT).read_text()) | {"format": 2}
    before = hashlib.sha256((folder / ABOUT).read_bytes()).hexdigest()
    (folder / ABOUT).unlink()
    (folder / ABOUT).write_text(json.dumps(about))
    after = hashlib.sha256((folder / ABOUT).read_bytes()).hexdigest()
    (folder / SUMS).write_text((folder / SUMS).read_text().replace(before, after))


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_damaged_leaves_nothing_behind(
    home: Settings, tmp_path: Path, packed: bool
) -> None:
    whole = tmp_path / "whole"
    backup(home, whole)
    elsewhere = Settings(home=tmp_path / "elsewhere")
    for number, (name, damage) in enumerate(WRONG.items()):
        source = tmp_path / str(number)
        shutil.copytree(whole, source)
        damage(source)
        if packed:
            with tarfile.open(tmp_path / f"{number}.tar", "w") as tar:
                for path in sorted(path for path in source.rglob("*") if path.is_file()):
                    tar.add(path, path.relative_to(source).as_posix())
            source = tmp_path / f"{number}.tar"
        with pytest.raises(BadRequest) as caught:
            restore(elsewhere, source)
        assert isinstance(caught.value, Damaged) is (name != "a later format")
        assert list(elsewhere.home.iterdir()) == []
    cut = tmp_path / "cut.tar"
    backup(home, cut)
    os.truncate(cut, cut.stat().st_size // 2)
    with pytest.raises(Damaged):
        restore(elsewhere, cut)
    with pytest.raises(NotFound):
        restore(elsewhere, tmp_path / "nowhere")
    assert list(elsewhere.home.iterdir()) == []
    restore(elsewhere, whole)
    assert elsewhere.student_folder(READY).is_dir()


def test_a_file_that_becomes_another_before_it_is_linked_is_no_backup(tmp_path: Path) -> None:
    weights, said = tmp_path / "weights", hashlib.sha256(b"before").hexdigest()
    weights.write_bytes(b"after!")
    into = Folder(tmp_path / "copy")
    into.put("weights", weights, said, lambda _: None)
    with pytest.raises(Damaged):
        into.prove({"weights": said}, lambda _: None)
    with pytest.raises(Damaged):
        into.put("gone", tmp_path / "gone", said, lambda _: None)
