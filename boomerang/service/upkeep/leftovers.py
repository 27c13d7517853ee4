"""What in the home may go: found by where it lies and how it is called, never by guessing.

Whether anything needs it the catalog says (catalog/students/leftovers.py). Of students only what
is not one yet is looked at: a folder that is being fetched or written. What cost time on a device
and is not a student (checkpoints of runs that did not end, what was set aside) goes only by name.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from boomerang.catalog.students.leftovers import Leftover
from boomerang.service.settings import Settings

ASIDE = "set-aside"
"""The folder, beside students or teachers, of those that were found damaged."""
GONE = ".gone"
"""How what is on its way out is called, behind a dot and its name."""
LOG_DAYS = 30.0
"""How long a log is kept that nobody writes to."""
_NAME = r"[0-9a-f]{8,64}"


@dataclass(frozen=True, slots=True)
class Found:
    """Something that may go: `name` is its path below the home, `why` why.

    `kind` and `key` are by what the catalog knows it, None where it knows nothing of it. `by_name`
    says that it goes only where somebody names it.
    """

    path: Path
    name: str
    why: str
    kind: Leftover | None = None
    key: str = ""
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a file, or of all below a folder, and when the youngest was changed."""

    bytes: int
    changed: float


def size_of(path: Path) -> Size:
    """How large something is, and how old; what goes away meanwhile counts nothing."""
    total, changed = 0, 0.0
    for one in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        try:
            status = one.lstat()
        except FileNotFoundError:
            continue
        total += 0 if one.is_dir() else status.st_size
        changed = max(changed, status.st_mtime)
    return Size(total, changed)


def find(settings: Settings) -> Iterator[Found]:
    """All that may go, and all that may go by name."""
    home = settings.home
    for path in _below(home / "teachers"):
        yield from _teacher(path)
    for path in _below(home / "students"):
        yield from _student(path)
    for path in _below(settings.members):
        yield from _member(path)
    for path in _below(home / "runs"):
        yield from _run(path)
    for folder in ("teachers", "students"):
        for path in _below(home / folder / ASIDE):
            if path.is_dir():
                why = "it was damaged, and has been put aside"
                yield Found(path, _name(path, 3), why, by_name=True)
    oldest = time.time() - 86400 * LOG_DAYS
    for path in _below(settings.logs):
        if path.is_file() and path.lstat().st_mtime < oldest:
            yield Found(path, _name(path), f"nobody wrote to it for {LOG_DAYS:g} days")


def _below(folder: Path) -> list[Path]:
    # A link leads to what is somebody else's.
    there = folder.is_dir() and not folder.is_symlink()
    return sorted(path for path in folder.iterdir() if not path.is_symlink()) if there else []


def _name(path: Path, parts: int = 2) -> str:
    return "/".join(path.parts[-parts:])


def _hidden(path: Path, ending: str) -> str | None:
    """The key in a temporary name (`.KEY.ending`), if that is one."""
    match = re.fullmatch(rf"\.({_NAME}){re.escape(ending)}", path.name)
    return None if match is None else match[1]


def _gone(path: Path) -> Iterator[Found]:
    if path.name.startswith(".") and path.name.endswith(GONE):
        yield Found(path, _name(path), "its removal was interrupted")


def _teacher(path: Path) -> Iterator[Found]:
    yield from _gone(path)
    if key := _hidden(path, ".part"):
        whole = path.with_name(key).is_dir()
        # Beside the whole model it is of a fetch that was given up for dead.
        kind = Leftover.BESIDE if whole else Leftover.TEACHER
        why = "it is there whole" if whole else "no family needs it"
        yield Found(path, _name(path), f"a part of a teacher: {why}", kind, key)
    elif re.fullmatch(_NAME, path.name) and path.is_dir():
        why = "no family needs this teacher; it is fetched again for one that does"
        yield Found(path, _name(path), why, Leftover.TEACHER, path.name)


def _student(path: Path) -> Iterator[Found]:
    yield from _gone(path)
    if key := _hidden(path, ".part"):
        whole = path.with_name(key).is_dir()
        kind = Leftover.BESIDE if whole else Leftover.STUDENT_FETCHING
        why = "it is there whole" if whole else "no family needs it"
        yield Found(path, _name(path), f"a part of a student that was fetched: {why}", kind, key)
    elif key := _hidden(path, ".partial"):
        why = "what a trainer wrote that died while it wrote a student"
        yield Found(path, _name(path), why, Leftover.STUDENT_WRITING, key)


def _member(path: Path) -> Iterator[Found]:
    yield from _gone(path)
    if key := _hidden(path, ".making"):
        why = "what a worker built that died while it built a size"
        yield Found(path, _name(path), why, Leftover.BUILDING, key)
    elif re.fullmatch("[0-9a-f]{40}", path.name) and path.is_dir():
        yield Found(path, _name(path), "no family has this size", Leftover.MEMBER, path.name)


def _run(path: Path) -> Iterator[Found]:
    yield from _gone(path)
    if re.fullmatch(_NAME, path.name) and path.is_dir():
        why = "its student is ready, verified and measured"
        yield Found(path, _name(path), why, Leftover.RUN, path.name)
