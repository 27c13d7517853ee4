"""Teacher and student of a family: where they lie, opened, compared, and whether they changed.

Front end and workers get them here, so that what is streamed, built and published is the same.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.files import RECORD
from boomerang.checkpoint.folders import content_commit, files_of
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import NotReady, SourceChanged, TeacherNotFound
from boomerang.family.pair import Pair
from boomerang.hub.remote import open_remote
from boomerang.service.models.digests import Digests, Unhashed
from boomerang.service.settings import Settings
from boomerang.texts.texts import Texts


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


def is_here(settings: Settings, student: Student) -> bool:
    """Whether the student's folder is on this machine, and is of the student that there is now.

    Where machines share no disk, one that was made again elsewhere may have left its folder here.
    """
    folder = student_folder(settings, student)
    if not folder.is_dir():
        return False
    known = (student.files or {}).get(RECORD)
    apart = student.origin is Origin.DISTILLED and bool(student.hub_commit or settings.students)
    if not apart or known is None:
        return True
    record = folder / RECORD
    return record.is_file() and hashlib.sha256(record.read_bytes()).hexdigest() == known


def teacher_checkpoint(settings: Settings, student: Student) -> Checkpoint:
    """The teacher's headers: from its folder, or by range from the Hub once that is gone."""
    folder = teacher_folder(settings, student)
    if student.teacher_source is not None or folder.is_dir():
        return _opened(folder, student.teacher)
    return _remote(settings, student.teacher, student.teacher_commit)


def student_checkpoint(settings: Settings, student: Student) -> Checkpoint:
    """The student's headers: from its folder where that is here, else by range from the Hub.

    Raises NotReady before there is one, Elsewhere where it is on its way to the Hub.
    """
    if student.state is not StudentState.READY:
        raise NotReady(
            f"The student of {student.teacher} is {student.state}.",
            value=str(student.state),
            fix="Wait for it: GET /families/{id}/events tells how far it is.",
        )
    folder = student_folder(settings, student)
    if student.origin is Origin.HUB and not folder.is_dir():
        return _remote(settings, str(student.location), student.revision_commit)
    if student.origin is Origin.DISTILLED and not is_here(settings, student):
        if student.hub_commit is not None:
            return _kept(settings, student)
        if settings.students:
            raise Elsewhere(
                f"The student of {student.teacher} is on its way to the Hub.",
                value=student.key,
                fix="Ask again in a moment.",
            )
    return _opened(folder, f"{student.teacher} (student)")


class Elsewhere(NotReady):
    """The student lies on another machine, and is not on the Hub yet."""

    slug, title = "elsewhere", "The student is on its way to the Hub"
    transient = True


def _kept(settings: Settings, student: Student) -> Checkpoint:
    """Headers of a student of ours that is kept on the Hub. Raises as `_remote`."""
    checkpoint = _remote(settings, str(student.hub_repo), student.hub_commit)
    known = student.files or {}
    for tensor in checkpoint.tensors.values():
        source = tensor.source
        if getattr(source, "sha256", None) not in (None, known.get(source.name)):
            raise SourceChanged(
                f"{source.name} of {student.hub_repo!r} is not the student's.",
                value=source.name,
                fix="Rebuild the family.",
            )
    return checkpoint


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


def folder_commit(catalog: Catalog, checkpoint: Checkpoint, at_once: int | None = None) -> str:
    """What stands for the commit of a folder: 40 hex digits over the content of those files.

    Each is hashed once for as long as size, inode and modification time stay what they are.
    Where more than `at_once` bytes would have to be hashed here, NotReady is raised.
    """
    sources = [*files_of(checkpoint)]
    most = sum(source.size for source in sources) if at_once is None else at_once
    digests = Digests.known(catalog, sources, most)
    if digests.unhashed:
        raise Unhashed(
            f"Files of {checkpoint.name} were touched since they were hashed.",
            value=checkpoint.name,
            fix="They are hashed again: ask again in a moment.",
        )
    return content_commit(checkpoint, digests)


def check_unchanged(
    catalog: Catalog, student: Student, pair: Pair, at_once: int | None = None
) -> None:
    """Raise SourceChanged where a local folder is no longer what the family was planned from.

    Raises Unhashed as `folder_commit`.
    """
    if student.teacher_source is not None:
        check_folder(catalog, student.teacher_commit, pair.teacher.checkpoint, at_once)
    if student.origin is Origin.FOLDER and student.revision_commit:
        check_folder(catalog, student.revision_commit, pair.student.checkpoint, at_once)


def check_folder(
    catalog: Catalog, commit: str, checkpoint: Checkpoint, at_once: int | None = None
) -> None:
    """Raise SourceChanged where a local checkpoint's content is no longer that commit."""
    if folder_commit(catalog, checkpoint, at_once) != commit:
        raise SourceChanged(
            f"The folder of {checkpoint.name} holds other files than the family was made from.",
            value=checkpoint.name,
            fix="Put those files back, or POST /families again for a family of the new ones.",
        )


def check_trained_on(catalog: Catalog, settings: Settings, student: Student) -> None:
    """Raise SourceChanged where teacher or text are not those that the student's key names.

    A student is cached for ever under its key, so it is not trained on anything else.
    """
    if student.teacher_source is not None:
        checkpoint = teacher_checkpoint(settings, student)
        check_folder(catalog, student.teacher_commit, checkpoint)
    if student.data is not None and student.data_digest is not None:
        texts = Texts.open(student.data)
        if texts.digest != student.data_digest:
            raise SourceChanged(
                f"The text {texts.name} is not the one that was asked for.",
                value=texts.name,
                fix="Put it back, or POST /families again for a student of the new one.",
            )


def open_pair(
    settings: Settings,
    catalog: Catalog,
    student: Student,
    *,
    verify: bool = True,
    unchanged: bool = False,
    at_once: int | None = None,
) -> Pair:
    """Teacher and student of a family, checked against each other.

    Without `verify` a student of ours is believed about its frozen embeddings, and so is one that
    is read from the Hub; one that was given is compared byte for byte, once. One of the Hub is
    believed, as when its family was planned, as long as comparing would mean downloading. With
    `unchanged` both must be what the family was planned from. Raises Unhashed where more than
    `at_once` bytes would have to be hashed or compared here, SourceChanged where what is to be
    compared or unchanged is something else.
    """
    teacher = teacher_checkpoint(settings, student)
    checkpoint = student_checkpoint(settings, student)
    if student.origin is not Origin.DISTILLED:
        return given_pair(
            catalog, student, teacher, checkpoint, unchanged=unchanged, at_once=at_once
        )
    pair = Pair.of(teacher, checkpoint, verify=verify and not is_remote(checkpoint))
    if unchanged:
        check_unchanged(catalog, student, pair, at_once)
    return pair


def given_pair(
    catalog: Catalog,
    student: Student,
    teacher: Checkpoint,
    checkpoint: Checkpoint,
    *,
    unchanged: bool = False,
    at_once: int | None = None,
) -> Pair:
    """The pair of a student that was given. Raises as `open_pair`."""
    pair = Pair.of(teacher, checkpoint, kept=student.kept, verify=False)
    commits = student.teacher_commit, str(student.revision_commit)
    known = catalog.same_embeddings(*commits) is not None
    far = is_remote(teacher) or is_remote(checkpoint)
    believed = far and student.origin is Origin.HUB and not known
    try:
        if unchanged or not (known or believed):
            # What is found out is kept for these commits, so it must be their bytes.
            check_unchanged(catalog, student, pair, at_once)
        return pair if believed else compared(catalog, pair, commits, at_once)
    except Unhashed as error:
        error.student = student.key
        raise


def compared(
    catalog: Catalog, pair: Pair, commits: tuple[str, str], at_once: int | None = None
) -> Pair:
    """A pair whose embeddings were compared, now or before: `commits` stand for their content.

    Raises Unhashed where more than `at_once` bytes would have to be read for that.
    """
    same = catalog.same_embeddings(*commits)
    if same is None:
        if at_once is not None and pair.compared > at_once:
            raise Unhashed(
                f"{pair.student.checkpoint.name} is being compared with its teacher.",
                value=pair.student.checkpoint.name,
                fix="Ask again in a moment.",
            )
        same = pair.same_embeddings()
        catalog.remember_same_embeddings(*commits, same)
    return replace(pair, shared_embeddings=same)
