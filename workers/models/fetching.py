"""Models of the Hub that a job needs in a folder, fetched once."""

import logging
from pathlib import Path

from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair
from boomerang.hub import fetch
from boomerang.service.models import checkpoints, pairs
from workers.context import Context
from workers.leases.holding import Holding, holding
from workers.leases.outages import patiently

log = logging.getLogger("boomerang.workers")


def fetch_teacher(context: Context, student: Student, held: Holding) -> Path:
    """The teacher's folder, fetched from the Hub where it is not there yet. Raises Over."""
    folder = checkpoints.teacher_folder(context.settings, student)
    if student.teacher_source is None:
        _fetch(context, student.teacher, student.teacher_commit, folder, held)
    return folder


def fetch_student(context: Context, student: Student, held: Holding) -> Path:
    """The student's folder; one that was given as a repo is fetched where it is not there yet.

    Raises Over.
    """
    folder = checkpoints.student_folder(context.settings, student)
    if student.origin is Origin.HUB:
        _fetch(context, str(student.location), str(student.revision_commit), folder, held)
    return folder


def _fetch(context: Context, repo: str, commit: str, folder: Path, held: Holding) -> None:
    """Fetch a repo unless it is there, or wait for whoever fetches it.

    What is there of it when the work must end is kept. Raises Over, and as fetch.fetch.
    """
    while not folder.is_dir():
        held.check()
        with holding(context, fetch_lease(folder)) as own:
            if own is not None:
                files: dict[str, str] = {}
                log.info("fetching %s at %s", repo, commit)
                folder.parent.mkdir(parents=True, exist_ok=True)
                fetch.fetch(
                    repo,
                    commit,
                    folder,
                    progress=lambda *_: held.check(),
                    # A machine that is taken away again and again gets there, file by file.
                    arrived=lambda: patiently(held)(context.catalog.lease_achieved, held.lease),
                    hashed=files.__setitem__,
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
