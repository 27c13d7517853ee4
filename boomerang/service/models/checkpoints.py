"""Where a student of the catalog and its teacher lie, and their headers."""

from pathlib import Path

from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import NotReady, SourceChanged, TeacherNotFound
from boomerang.hub.remote import open_remote
from boomerang.service.settings import Settings


def teacher_folder(settings: Settings, student: Student) -> Path:
    """The teacher's folder: its own where it is local, else where it is fetched to."""
    if student.teacher_source is not None:
        return Path(student.teacher_source)
    return settings.teacher_folder(student.teacher_commit)


def student_folder(settings: Settings, student: Student) -> Path:
    """The student's folder: its own where it was given as one, else the service's."""
    if student.origin is Origin.FOLDER and student.location is not None:
        return Path(student.location)
    return settings.student_folder(student.key)


def is_gone(settings: Settings, student: Student) -> bool:
    """Whether a student of ours that is ready is not where it should be (not merely unmounted)."""
    folder = settings.student_folder(student.key)
    ours = student.state is StudentState.READY and student.origin is Origin.DISTILLED
    return ours and folder.parent.is_dir() and not folder.is_dir()


def teacher_checkpoint(settings: Settings, student: Student) -> Checkpoint:
    """The teacher's headers: from its folder, or by range from the Hub once that is gone."""
    folder = teacher_folder(settings, student)
    if student.teacher_source is not None or folder.is_dir():
        return _opened(folder, student.teacher)
    return _remote(settings, student.teacher, student.teacher_commit)


def student_checkpoint(settings: Settings, student: Student) -> Checkpoint:
    """The student's headers. Raises NotReady before there is one."""
    if student.state is not StudentState.READY:
        raise NotReady(
            f"The student of {student.teacher} is {student.state}.",
            value=str(student.state),
            fix="Wait for it: GET /families/{id}/events tells how far it is.",
        )
    folder = student_folder(settings, student)
    if student.origin is not Origin.HUB or folder.is_dir():
        return _opened(folder, f"{student.teacher} (student)")
    return _remote(settings, str(student.location), student.revision_commit)


def _opened(folder: Path, name: str) -> Checkpoint:
    if not folder.is_dir():
        # Checkpoint.open would name the folder, and this reaches clients.
        raise SourceChanged(
            f"The folder of {name} is gone.", value=name, fix="Put it back, or ask for it anew."
        )
    return Checkpoint.open(folder, name)


def _remote(settings: Settings, repo: str, commit: str | None) -> Checkpoint:
    """Headers of a repository that the catalog pinned. Raises SourceChanged where it is gone."""
    try:
        return open_remote(repo, commit, endpoint=settings.hub_endpoint)
    except TeacherNotFound as error:
        raise SourceChanged(
            f"{repo!r} is no longer on the Hub at the commit that the family was made from.",
            value=repo,
            fix="Ask for a family of what is there now; for a private model set HF_TOKEN.",
        ) from error


def is_remote(checkpoint: Checkpoint) -> bool:
    """Whether its weights are read by range from the Hub."""
    return not all(isinstance(t.source, FileSource) for t in checkpoint.tensors.values())
