"""Whether local models and texts are still what a family was planned from."""

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.content import content_commit, files_of
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import SourceChanged
from boomerang.family.pair import Pair
from boomerang.service.models.checkpoints import teacher_checkpoint
from boomerang.service.models.digests import Digests, Unhashed
from boomerang.service.settings import Settings
from boomerang.texts.texts import Texts


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
