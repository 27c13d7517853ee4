"""A copy of what cannot be made again: the catalog, and the students that were distilled.

It is taken while the service runs. Teachers are fetched again, members assembled again; students
that somebody gave, local teachers and texts lie where their owner put them, and are not ours.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from boomerang.catalog.copies.dump import Dump, dump
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin
from boomerang.errors import BadRequest
from boomerang.service.settings import Settings
from boomerang.service.upkeep import archive
from boomerang.service.upkeep.archive import SUMS, Archive

ABOUT = "boomerang-backup.json"
FORMAT = 1

Told = Callable[[str, int], object]
"""Is given what is done now, and how much of it is: rows of the catalog, bytes of files."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A backup: where, its rows by table, its students, and those that are not in it, and why."""

    target: str = ""
    bytes: int = 0
    files: int = 0
    schema: str
    rows: dict[str, int]
    students: list[str] = field(default_factory=list)
    on_hub: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


class Meter:
    """Tells how many bytes of a part of the work are done."""

    def __init__(self, told: Told) -> None:
        self._told, self._what, self._done = told, "", 0

    def __call__(self, what: str) -> Callable[[int], object]:
        """What is to be given the bytes of this part."""
        if what != self._what:
            self._what, self._done = what, 0
        return self._more

    def _more(self, size: int) -> None:
        self._done += size
        self._told(self._what, self._done)


def backup(
    settings: Settings, target: Path, *, students: bool = True, kept: bool = True,
    version: str = "", told: Told = lambda *_: None,
) -> Made:  # fmt: skip
    """Write a backup to a folder, or to one file where the name ends with `.tar`.

    With `students` those that are ready and lie in this home are in it; without `kept` not those
    that are on the Hub as well. `version` is of the program that makes it. In a folder on the same
    disk they are hard links, as what is ready is never written to. Raises BadRequest where the
    target is there, NotFound where no catalog is, Damaged where what was written is not what is
    read back.
    """
    target = target.absolute()
    if target.exists() or target.is_symlink():
        raise BadRequest(
            f"{target} is there already.", value=str(target), fix="Name one that is not."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    work, whole = part / "work", part / "whole"
    try:
        for folder in (work, work / "catalog"):
            folder.mkdir(mode=0o700)
        dumped = dump(settings.database_url, work / "catalog", _counted(told))
        tar = target.suffix == ".tar"
        into: Archive = archive.Tar(whole) if tar else archive.Folder(whole)
        made = _fill(settings, into, work, dumped, _Wanted(students, kept, version), told)
        size = sum(path.stat().st_size for path in [whole, *whole.rglob("*")] if path.is_file())
        whole.chmod(0o600 if tar else 0o700)
        archive.synced(whole)
        whole.rename(target)
        archive.synced(target.parent)
        return replace(made, target=str(target), bytes=size)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(frozen=True)
class _Wanted:
    students: bool
    kept: bool
    version: str


def _fill(
    settings: Settings, into: Archive, work: Path, dumped: Dump, wanted: _Wanted, told: Told
) -> Made:  # fmt: skip
    made = Made(schema=dumped.schema, rows=dumped.rows)
    digests: dict[str, str] = {}
    meter = Meter(told)
    for path in sorted((work / "catalog").iterdir()):
        name = f"catalog/{path.name}"
        digests[name] = archive.sha256_of(path, meter("the catalog"))
        archive.synced(path)
        into.put(name, path, digests[name], meter("the catalog"))
    for row in _students(work / "catalog") if wanted.students else ():
        found = _student(settings, row, made, wanted, meter)
        for path, digest in found.items():
            name = f"students/{row['key']}/{path.relative_to(_folder(settings, row)).as_posix()}"
            into.put(name, path, digest, meter("copying students"))
            digests[name] = digest
    about = {"format": FORMAT, "version": wanted.version, "made": time.time(), **asdict(dumped)}
    about |= {name: getattr(made, name) for name in ("students", "on_hub", "missing", "damaged")}
    for name, content in ((ABOUT, json.dumps(about, indent=1) + "\n"), (SUMS, None)):
        (work / name).write_text(content or archive.sums_of(digests), "utf-8")
        digests[name] = archive.sha256_of(work / name, lambda _: None)
        into.put(name, work / name, digests[name], lambda _: None)
    into.prove(digests, meter("reading back"))
    return replace(made, files=len(digests))


def _students(catalog: Path) -> Iterator[dict[str, Any]]:
    """The students of the catalog that are ready and were made here, as they were written down."""
    with (catalog / "students.jsonl").open(encoding="ascii") as lines:
        names = json.loads(next(lines))
        for line in lines:
            row = dict(zip(names, json.loads(line), strict=True))
            if row["state"] == StudentState.READY and row["origin"] == Origin.DISTILLED:
                yield row


def _folder(settings: Settings, row: dict[str, Any]) -> Path:
    return settings.student_folder(row["key"])


def _student(
    settings: Settings, row: dict[str, Any], made: Made, wanted: _Wanted, meter: Meter
) -> dict[Path, str]:
    """The files of a student with their sha256; none where it is not to be in the backup."""
    key, on_hub = row["key"], row.get("hub_repo") is not None
    folder = _folder(settings, row)
    if on_hub and (not wanted.kept or not folder.is_dir()):
        made.on_hub.append(key)
        return {}
    try:
        there = sorted(folder.rglob("*"))
        files = [path for path in there if path.is_file() and not path.is_symlink()]
        found = {path: archive.sha256_of(path, meter("reading students")) for path in files}
    except FileNotFoundError:
        found = {}
    must = json.loads(row.get("files") or "{}")
    if not found:
        made.missing.append(key)
    elif any(found.get(folder / name) != digest for name, digest in must.items()):
        made.damaged.append(key)
        return {}
    else:
        made.students.append(key)
    return found


def _counted(told: Told) -> Callable[[int], object]:
    total = 0

    def count(rows: int) -> None:
        nonlocal total
        total += rows
        told("rows of the catalog", total)

    return count
