"""Models of the Hub that a job needs in a folder, fetched once."""

import logging
from pathlib import Path

from boomerang.checkpoint import Checkpoint
from boomerang.pair import Pair
from boomerang.service import shelf
from boomerang.service.records import Origin, Student
from boomerang.service.settings import Settings

log = logging.getLogger("boomerang.workers")


def fetch_teacher(settings: Settings, student: Student) -> Path:
    """The teacher's folder, fetched from the Hub where it is not there yet."""
    folder = shelf.teacher_folder(settings, student)
    if student.teacher_source is None and not folder.is_dir():
        _fetch(student.teacher, student.teacher_commit, folder)
    return folder


def fetch_student(settings: Settings, student: Student) -> Path:
    """The student's folder; one that was given as a repo is fetched where it is not there yet."""
    folder = shelf.student_folder(settings, student)
    if student.origin is Origin.HUB and not folder.is_dir():
        _fetch(str(student.location), str(student.revision_commit), folder)
    return folder


def _fetch(repo: str, commit: str, folder: Path) -> None:
    from boomerang import hub

    log.info("fetching %s at %s", repo, commit)
    folder.parent.mkdir(parents=True, exist_ok=True)
    hub.fetch(repo, commit, folder)


def check_pair(teacher: Path, student: Path) -> Pair:
    """The pair in two folders. Raises as Checkpoint.open and Pair.of where it is no such pair."""
    return Pair.of(Checkpoint.open(teacher), Checkpoint.open(student))
