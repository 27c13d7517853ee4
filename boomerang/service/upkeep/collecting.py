"""Taking away what nobody needs: by another name first, under the catalog's eyes, then for good.

What goes is renamed within a change of the catalog, in which nobody can begin to need it, and is
removed afterwards. So whoever looks for it finds it whole or not at all.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.students import Origin
from boomerang.catalog.students.leftovers import Leftover
from boomerang.errors import BadRequest
from boomerang.service.models import pairs
from boomerang.service.settings import Settings
from boomerang.service.upkeep.in_use import is_open, open_paths
from boomerang.service.upkeep.leftovers import GONE, Found, find, size_of

GRACE_HOURS = 1.0
"""How long something must have been left alone before it may go."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in the home, with its size, and how long nobody changed it."""

    name: str
    bytes: int
    age_seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What went (or would go), what stays and why, what goes only by name, and how many events."""

    dry_run: bool
    removed: list[Thing] = field(default_factory=list)
    kept: list[Thing] = field(default_factory=list)
    by_name: list[Thing] = field(default_factory=list)
    events: int = 0

    @property
    def bytes(self) -> int:
        """How much room that makes."""
        return sum(one.bytes for one in self.removed)


@dataclass(frozen=True, slots=True)
class Named:
    """What somebody named: keys of students whose `runs` may go, and what was put `aside`."""

    runs: Collection[str] = ()
    aside: Collection[str] = ()


def collect(
    settings: Settings, catalog: Catalog, named: Named | None = None, *,
    dry_run: bool = False, grace_hours: float = GRACE_HOURS,
) -> Collected:  # fmt: skip
    """Take away what nobody needs, or with `dry_run` only say what that is.

    Raises BadRequest where something is named that is not there, or another collection goes on.
    """
    named = named or Named()
    with _alone(settings.home):
        found = list(find(settings))
        _check_named(found, named)
        old = catalog.prune_events(settings.event_days, dry_run=dry_run)
        done = Collected(dry_run, events=old)
        for one in found:
            _one(settings, catalog, named, one, done, grace_hours)
    return done


def _one(
    settings: Settings, catalog: Catalog, named: Named, one: Found, done: Collected,
    grace_hours: float,
) -> None:  # fmt: skip
    kind, why = one.kind, one.why
    wanted = one.by_name and _is_aside(one, named.aside)
    if kind is Leftover.RUN and one.key in named.runs:
        kind, why, wanted = Leftover.NAMED_RUN, "it was named", True
    size = size_of(one.path)
    age = max(0.0, time.time() - size.changed)

    def as_it_is(reason: str) -> Thing:
        return Thing(one.name, size.bytes, age, reason)

    if one.by_name and not wanted:
        done.by_name.append(as_it_is(why))
        return
    stays = _unverified(settings, catalog, one.key) if kind is Leftover.RUN else None
    if stays is None and kind is not None:
        stays = catalog.needed(kind, one.key)
    if stays is not None and kind is Leftover.RUN:
        only = catalog.needed(Leftover.NAMED_RUN, one.key) is None
        (done.by_name if only else done.kept).append(as_it_is(stays))
        return
    if stays is None and not wanted and age < 3600 * grace_hours:
        stays = f"it was changed less than {grace_hours:g} hours ago"
    if stays is None and is_open(one.path, open_paths()):
        stays = "a process of this machine has it open"
    if stays is None and not done.dry_run:
        stays = _remove(catalog, one, kind)
    (done.removed if stays is None else done.kept).append(as_it_is(stays or why))


def _remove(catalog: Catalog, one: Found, kind: Leftover | None) -> str | None:
    """Remove something; what keeps it from going, if anything does by now."""
    name = one.path.name.removeprefix(".").removesuffix(GONE)
    gone = one.path.with_name(f".{name}.{secrets.token_hex(4)}{GONE}")

    def go() -> None:
        one.path.rename(gone)

    try:
        if kind is None:
            go()
        elif (why := catalog.let_go(kind, one.key, go)) is not None:
            return why
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
        if one.by_name:
            # The reason why it was put aside stands beside it.
            one.path.with_name(f"{one.path.name}.txt").unlink(missing_ok=True)
    except OSError as error:
        return f"it cannot be removed: {error.strerror}"
    return None


def _unverified(settings: Settings, catalog: Catalog, key: str) -> str | None:
    """Why a student is not known to be whole, if it is not: its files must be those it had when it
    became ready, as far as their size, inode and time of change tell.
    """
    student = catalog.student_if_any(key)
    if student is None or student.origin is not Origin.DISTILLED or student.hub_commit is not None:
        return None
    folder = pairs.student_folder(settings, student)
    if not pairs.is_here(settings, student):
        return "its student is not on this machine"
    for name, digest in (student.files or {}).items():
        path = next((one for one in folder.rglob(name) if one.is_file()), None)
        if path is None or catalog.known_hash(path) != digest:
            return f"{name} of its student was touched since it was verified"
    return None


def _is_aside(one: Found, names: Collection[str]) -> bool:
    return any(one.path.name == name or one.path.name.startswith(f"{name}.") for name in names)


def _check_named(found: Collection[Found], named: Named) -> None:
    """Refuse names of nothing. Raises BadRequest."""
    runs = {one.key for one in found if one.kind is Leftover.RUN}
    lacking = [key for key in named.runs if key not in runs]
    aside = [one for one in found if one.by_name]
    lacking += [name for name in named.aside if not any(_is_aside(one, [name]) for one in aside)]
    if lacking:
        raise BadRequest(
            f"There is nothing called {', '.join(lacking)}.",
            value=lacking,
            fix="`boomerang gc --dry-run` lists what goes by name.",
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the home's lock for this. Raises BadRequest where another collection goes on."""
    descriptor = os.open(home / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(
                f"Another `boomerang gc` runs in {home}.", value=str(home), fix="Wait for it."
            ) from None
        yield
    finally:
        os.close(descriptor)
