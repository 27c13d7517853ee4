"""Models of the Hub that a job needs in a folder, fetched once."""

import logging
import time
from pathlib import Path

from boomerang.checkpoint import Checkpoint
from boomerang.errors import HubFailure
from boomerang.pair import Pair
from boomerang.service import shelf
from boomerang.service.records import Origin, Student
from workers.context import Context
from workers.holding import holding

log = logging.getLogger("boomerang.workers")


def fetch_teacher(context: Context, student: Student) -> Path:
    """The teacher's folder, fetched from the Hub where it is not there yet."""
    folder = shelf.teacher_folder(context.settings, student)
    if student.teacher_source is None:
        _fetch(context, student.teacher, student.teacher_commit, folder)
    return folder


def fetch_student(context: Context, student: Student) -> Path:
    """The student's folder; one that was given as a repo is fetched where it is not there yet."""
    folder = shelf.student_folder(context.settings, student)
    if student.origin is Origin.HUB:
        _fetch(context, str(student.location), str(student.revision_commit), folder)
    return folder


def _fetch(context: Context, repo: str, commit: str, folder: Path) -> None:
    """Fetch a repo unless it is there, or wait for whoever fetches it. Raises HubFailure."""
    from boomerang import hub

    while not folder.is_dir():
        with holding(context, f"fetch:{folder.name}") as held:
            if held is not None:
                log.info("fetching %s at %s", repo, commit)
                folder.parent.mkdir(parents=True, exist_ok=True)
                hub.fetch(repo, commit, folder, endpoint=context.settings.hub_endpoint)
                return
        if context.stopping.is_set():
            raise HubFailure(f"The fetch of {repo} was interrupted.", fix="Ask again.")
        time.sleep(1)


def check_pair(teacher: Path, student: Path, kept: tuple[int, ...] | None = None) -> Pair:
    """The pair in two folders. Raises as Checkpoint.open and Pair.of where it is no such pair."""
    return Pair.of(Checkpoint.open(teacher), Checkpoint.open(student), kept=kept)
