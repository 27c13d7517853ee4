"""The home: whether it can be written as it must be, and has room."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from boomerang.assembly.writing import on_disk
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.catalog import wanted_bytes
from boomerang.service.upkeep.doctor.finding import Finding, fail, ok, warn

FEW_BYTES = 10 << 30
"""Free bytes below which somebody should look."""
TEMPORARY_BYTES = 1 << 30
_PARTS = ("students", "teachers", "runs", "members", "logs")


def home(settings: Settings) -> Iterator[Finding]:
    """Whether everything can be kept below the home."""
    folder = settings.home
    try:
        there = folder.is_dir()
    except PermissionError:
        yield fail("home", "It cannot be reached by this user.",
                   "Let the user of the service into the folders above.", str(folder))  # fmt: skip
        return
    if not there:
        above = next(one for one in folder.parents if one.exists())
        if not folder.exists() and above.is_dir() and os.access(above, os.W_OK):
            yield ok("home", "It is not there yet: it is made at the first start.", str(folder))
            yield from _room(settings, above)
        else:
            yield fail("home", "It is not there, and cannot be made.",
                       "Make it, for the user of the service.", str(folder))  # fmt: skip
        return
    try:
        shared = _tried(folder)
    except OSError as error:
        yield fail("home", f"It cannot be written: {error.strerror}.",
                   "Give it to the user of the service, or make room.", str(folder))  # fmt: skip
        return
    yield ok("home", "Files are written, renamed and synced there.", str(folder))
    if not shared:
        yield warn("copies", "The file system copies nothing in the kernel (copy_file_range): "
                   "sizes are built through memory, which takes longer.",
                   "Use ext4, XFS or Btrfs, if that matters.")  # fmt: skip
    yield from _one_file_system(folder)
    yield from _room(settings, folder)


def _tried(folder: Path) -> bool:
    """Write, sync, rename and copy a file; whether the kernel copies. Raises OSError."""
    name = folder / f".doctor-{os.getpid()}-{secrets.token_hex(4)}"
    first, second = name.with_suffix(".first"), name.with_suffix(".second")
    try:
        first.write_bytes(b"boomerang" * 1000)
        on_disk(first)
        first.rename(second)
        on_disk(folder)
        with second.open("rb") as source, first.open("wb") as target:
            try:
                return os.copy_file_range(source.fileno(), target.fileno(), 9000) > 0
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                return False
    finally:
        for path in (first, second):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _one_file_system(folder: Path) -> Iterator[Finding]:
    there = [folder / name for name in _PARTS if (folder / name).is_dir()]
    unwritable = [path.name for path in there if not os.access(path, os.W_OK | os.X_OK)]
    if unwritable:
        yield fail("home's folders", f"{', '.join(unwritable)} cannot be written.",
                   "Give them to the user of the service.", unwritable)  # fmt: skip
    devices = {path.name: path.stat().st_dev for path in (folder, *there)}
    if len(set(devices.values())) > 1:
        other = sorted(name for name, device in devices.items() if device != devices[folder.name])
        yield warn("home's folders", f"{', '.join(other)} lie on another file system: what is "
                   "copied between them takes room twice.",
                   "Mount one file system as the home.", other)  # fmt: skip


def _room(settings: Settings, folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    try:
        wanted = wanted_bytes(settings)
    except SQLAlchemyError:
        # That the catalog does not answer is another finding.
        wanted = 0
    told = f"{free / 1e9:.1f} GB are free"
    fix = "Make room: `boomerang gc --dry-run` says what may go."
    value = {"free": free, "wanted": wanted}
    if free < wanted:
        yield fail("disk", f"{told}; students that wait will take {wanted / 1e9:.1f} GB.",
                   fix, value)  # fmt: skip
    elif free - wanted < FEW_BYTES:
        yield warn("disk", f"{told}, of which {wanted / 1e9:.1f} GB will be taken.", fix, value)
    else:
        yield ok("disk", f"{told}.", value)


def temporary(settings: Settings) -> Iterator[Finding]:
    """Whether the folder of temporary files has room."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < TEMPORARY_BYTES:
        yield warn("temporary files", f"{free / 1e9:.2f} GB are free in {folder}.",
                   "Make room, or name another folder as TMPDIR.", free)  # fmt: skip
    else:
        yield ok("temporary files", f"{free / 1e9:.1f} GB are free in {folder}.", free)
