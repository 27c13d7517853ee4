"""Models in folders: fetched from the Hub once, read again, and put aside where they are damaged.

Most bytes of most members are the teacher's, so that it must be what it was.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.folders import content_commit, files_of, sha256_of
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import SourceChanged, TeacherNotFound
from boomerang.family.pair import Pair
from boomerang.hub import fetch, remote
from boomerang.service.models import pairs
from workers.context import Context
from workers.leases import Holding, holding
from workers.outages import patiently

ASIDE = "set-aside"
"""The folder, beside students or teachers, of those that were found damaged."""


def put_aside(folder: Path, number: int, what: str, why: str) -> str:
    """Give a damaged folder another name, with the reason beside it; return that name.

    Readers that have it open keep what they have.
    """
    aside = folder.parent / ASIDE / f"{folder.name}.{number}"
    aside.parent.mkdir(exist_ok=True)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    aside.with_name(f"{aside.name}.txt").write_text(f"{when}: {what}: {why}\n")
    folder.rename(aside)
    return f"{ASIDE}/{aside.name}"


log = logging.getLogger("boomerang.workers")


def fetch_teacher(context: Context, student: Student, held: Holding) -> Path:
    """The teacher's folder, fetched from the Hub where it is not there yet. Raises Over."""
    folder = pairs.teacher_folder(context.settings, student)
    if student.teacher_source is None:
        _fetch(context, student.teacher, student.teacher_commit, folder, held)
    return folder


def fetch_student(context: Context, student: Student, held: Holding) -> Path:
    """The student's folder; one that is on the Hub is fetched where it is not there yet.

    Raises Over, and Elsewhere where it is on its way to the Hub.
    """
    settings = context.settings
    folder = pairs.student_folder(settings, student)
    if student.origin is Origin.HUB:
        _fetch(context, str(student.location), str(student.revision_commit), folder, held)
    elif student.origin is Origin.DISTILLED and not pairs.is_here(settings, student):
        pairs.student_checkpoint(settings, student)
        if student.hub_commit is not None:
            _leave(context, student, folder)
            at = str(student.hub_repo), student.hub_commit
            _fetch(context, *at, folder, held, student.files)
    return folder


def _leave(context: Context, student: Student, folder: Path) -> None:
    """Put the folder of a student aside that has been made again on another machine."""
    if not folder.is_dir():
        return
    seen = folder.stat().st_ino
    with holding(context, fetch_lease(folder)) as own:
        if own is not None and folder.is_dir() and folder.stat().st_ino == seen:
            why = "it has been made again elsewhere"
            put_aside(folder, own.lease.fence, f"student of {student.teacher}", why)


def _fetch(
    context: Context, repo: str, commit: str, folder: Path, held: Holding,
    known: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Fetch a repo unless it is there, or wait for whoever fetches it.

    What is there of it when the work must end is kept. Raises Over, SourceChanged where a file is
    not the one that is `known`, and as fetch.fetch.
    """
    files: dict[str, str] = {}

    def hashed(name: str, digest: str) -> None:
        files[name] = digest
        if (known or {}).get(name, digest) != digest:
            raise SourceChanged(
                f"{name} of {repo!r} is not the student's.", value=name, fix="Rebuild the family."
            )

    while not folder.is_dir():
        held.check()
        with holding(context, fetch_lease(folder)) as own:
            if own is not None:
                log.info("fetching %s at %s", repo, commit)
                folder.parent.mkdir(parents=True, exist_ok=True)
                fetch.fetch(
                    repo,
                    commit,
                    folder,
                    progress=lambda *_: held.check(),
                    # A machine that is taken away again and again gets there, file by file.
                    arrived=lambda: patiently(held)(context.catalog.lease_achieved, held.lease),
                    hashed=hashed,
                    endpoint=context.settings.hub_endpoint,
                )
                if files:
                    context.catalog.remember_files(commit, files)
                return
        held.ended.wait(1)


def fetch_lease(folder: Path) -> str:
    """The lease under which the model in a folder is fetched, or set aside."""
    return f"fetch:{folder.name}"


def check_pair(context: Context, student: Student, teacher: Path, folder: Path) -> Pair:
    """The pair in two folders. Raises as Checkpoint.open and Pair.of where it is no such pair.

    A student that was given is compared with its teacher once; then it must be what it was.
    """
    sides = Checkpoint.open(teacher), Checkpoint.open(folder)
    if student.origin is Origin.DISTILLED:
        return Pair.of(*sides)
    return pairs.given_pair(context.catalog, student, *sides)


def check_teacher(context: Context, student: Student, held: Holding) -> tuple[Item, ...]:
    """Read every byte of a student's teacher, unless it is read by range from the Hub.

    Returns what is to be said of it, if anything.

    One that was fetched and is damaged is set aside and fetched again. Raises SourceChanged for a
    local one, Over, and whatever keeps this from being found out.
    """
    folder = pairs.teacher_folder(context.settings, student)
    if student.teacher_source is not None:
        changed = _local_changes(context, student, folder, held)
        if changed:
            raise SourceChanged(
                f"{changed} of the teacher {student.teacher!r} changed since it was hashed.",
                value=student.teacher,
                fix="Put it back, and rebuild the family.",
            )
        return (_whole(student, folder),)
    if folder.is_dir():
        seen = folder.stat().st_ino
        changed = _fetched_changes(context, student, folder, held)
        if changed:
            found = f"{changed} changed since it was fetched"
            _set_aside(context, student, folder, seen, found)
            fetch_teacher(context, student, held)
            mended = {"state": "mended", "found": found, "reason": "fetched again", "bytes": 0}
            return (Item(kind="teacher", name=student.teacher, **mended),)  # type: ignore[arg-type]
        return (_whole(student, folder),)
    return ()


def _whole(student: Student, folder: Path) -> Item:
    return Item(kind="teacher", name=student.teacher, state="whole", bytes=bytes_below(folder))


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _local_changes(context: Context, student: Student, folder: Path, held: Holding) -> str:
    """The files of a local teacher that are not what they were, if any; once hashed, by name."""
    checkpoint = pairs.teacher_checkpoint(context.settings, student)
    known = context.catalog.files_at(student.teacher_commit)
    if known is not None:
        return _changed(known, _read(context, folder, known, held))
    sources = {str(source.path.relative_to(folder)): source for source in files_of(checkpoint)}
    before = {name: context.catalog.hash_of(source.path) for name, source in sources.items()}
    found = _read(context, folder, sources, held)
    named = {source: found[name] for name, source in sources.items()}
    if content_commit(checkpoint, lambda source: str(named[source])) != student.teacher_commit:
        return _changed(before, found) or "A file"
    _remember(context, student, found)
    return ""


def _fetched_changes(context: Context, student: Student, folder: Path, held: Holding) -> str:
    """The files of a fetched teacher that are not what they were, if any.

    Of one that was fetched before that was written down, the Hub tells the large ones.
    """
    known: Mapping[str, str | None] | None = context.catalog.files_at(student.teacher_commit)
    if known is not None:
        return _changed(known, _read(context, folder, known, held))
    known = _listed(context, student, folder)
    found = _read(context, folder, known, held)
    changed = _changed(known, found)
    if not changed:
        _remember(context, student, found)
    return changed


def _listed(context: Context, student: Student, folder: Path) -> dict[str, str | None]:
    endpoint = context.settings.hub_endpoint
    try:
        listed = remote.resolve(student.teacher, student.teacher_commit, endpoint=endpoint)
    except TeacherNotFound:
        return {str(p.relative_to(folder)): None for p in folder.rglob("*") if p.is_file()}
    return {name: listed.sha256.get(name) for name in listed.travelling}


def _changed(known: Mapping[str, str | None], found: Mapping[str, str | None]) -> str:
    """The files that are not there, or not as they are known; None knows nothing of one."""
    missing = {name for name in known if found[name] is None}
    return ", ".join(
        sorted(missing | {name for name in known if known[name] not in (None, found[name])})
    )


def _read(
    context: Context, folder: Path, names: Iterable[str], held: Holding
) -> dict[str, str | None]:
    """The sha256 of files as they are, None where one is missing; what is served is told of it."""
    found: dict[str, str | None] = {}
    for name in names:
        held.check()
        path = folder / name
        if not path.is_file():
            found[name] = None
            continue
        source = FileSource.of(path)
        found[name] = digest = sha256_of(source)
        if context.catalog.known_hash(path) != digest:
            context.catalog.remember_hash(path, digest, source)
    return found


def _remember(context: Context, student: Student, found: Mapping[str, str | None]) -> None:
    files = {name: digest for name, digest in found.items() if digest is not None}
    context.catalog.remember_files(student.teacher_commit, files)


def _set_aside(context: Context, student: Student, folder: Path, seen: int, why: str) -> None:
    log.warning("the teacher %s is damaged: %s", student.teacher, why)
    with holding(context, fetch_lease(folder)) as own:
        if own is None or not folder.is_dir() or folder.stat().st_ino != seen:
            return  # somebody else does it, or did
        name = put_aside(folder, own.lease.fence, f"teacher {student.teacher}", why)
    told = {"name": name, "teacher": student.teacher, "reason": why}
    context.catalog.student_note(student.key, "set-aside", told)
