"""Puts a backup into a home and a database where nothing is yet, of whatever kind they are."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.catalog.copies.dump import Dump
from boomerang.catalog.copies.load import check_empty, load
from boomerang.catalog.migrations import schema
from boomerang.errors import BadRequest, NotFound
from boomerang.service.settings import Settings
from boomerang.service.upkeep import archive
from boomerang.service.upkeep.archive import Damaged
from boomerang.service.upkeep.backup import ABOUT, FORMAT, Meter, Told


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is there again, and from when: Unix seconds, rows by table, students."""

    made: float
    schema: str
    rows: dict[str, int]
    students: list[str]


def restore(settings: Settings, source: Path, *, told: Told = lambda *_: None) -> Restored:
    """Put a backup where the settings say the home and the catalog are.

    Every file is read and compared with its sha256 before anything is there. What breaks leaves
    nothing behind. Raises NotFound where no backup is, Damaged for one that is not what was
    written, BadRequest where something is kept there already, or where a later version made it.
    """
    source = source.absolute()
    if not source.exists():
        raise NotFound(f"There is no {source}.", value=str(source), fix="Name a backup.")
    _check_home(settings)
    check_empty(settings.database_url)
    settings.home.mkdir(parents=True, exist_ok=True)
    meter = Meter(told)
    part = Path(tempfile.mkdtemp(prefix=".restore.", suffix=".part", dir=settings.home))
    try:
        with archive.unpacked(source, part / "tar", meter("unpacking")) as root:
            digests = archive.read_sums(root)
            about = _about(root, digests)
            for name in (one for one in digests if not one.startswith("students/")):
                archive.proved(root, name, digests[name], meter("the catalog"))
            for name in (one for one in digests if one.startswith("students/")):
                archive.copied(root, name, digests[name], part / name, meter("copying students"))
            dumped = Dump(**{name: about[name] for name in Dump.__dataclass_fields__})
            with _in_place(settings, part / "students") as put:
                load(settings.database_url, root / "catalog", dumped, before_commit=put)
        return Restored(
            made=about["made"],
            schema=schema.HEAD,
            rows=dumped.rows,
            students=list(about["students"]),
        )
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_home(settings: Settings) -> None:
    there = settings.home / "students"
    if there.is_dir() and any(there.iterdir()):
        raise BadRequest(
            f"There are students in {there} already.",
            value=str(there),
            fix="Restore into an empty home and database: set BOOMERANG_HOME to another folder.",
        )


def _about(root: Path, digests: dict[str, str]) -> dict[str, Any]:
    if ABOUT not in digests:
        raise Damaged(f"{root} has no {ABOUT}.", fix="Name what `boomerang backup` made.")
    archive.proved(root, ABOUT, digests[ABOUT], lambda _: None)
    found: dict[str, Any] = json.loads((root / ABOUT).read_text("utf-8"))
    if found.get("format") != FORMAT:
        raise BadRequest(
            f"The backup has format {found.get('format')}; this program reads {FORMAT}.",
            value=found.get("format"),
            fix=f"Restore it with version {found.get('version')} of Boomerang, or a later one.",
        )
    return found


@contextmanager
def _in_place(settings: Settings, students: Path) -> Iterator[Any]:
    """Gives what moves the students into the home; they go again where what follows fails."""
    moved: list[Path] = []

    def put() -> None:
        for folder in sorted(students.iterdir()) if students.is_dir() else ():
            target = settings.student_folder(folder.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder, target)
            moved.append(target)
            archive.synced(target.parent)

    try:
        yield put
    except BaseException:
        for folder in moved:
            shutil.rmtree(folder, ignore_errors=True)
        raise
