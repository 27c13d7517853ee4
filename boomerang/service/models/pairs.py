"""Teacher and student of a family, opened and compared.

Front end and workers get them here, so that what is streamed, built and published is the same.
"""

from dataclasses import replace

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair
from boomerang.service.models.checkpoints import is_remote, student_checkpoint, teacher_checkpoint
from boomerang.service.models.digests import Unhashed
from boomerang.service.models.unchanged import check_unchanged
from boomerang.service.settings import Settings


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

    Without `verify` a student of ours is believed about its frozen embeddings; one that was given
    is compared byte for byte, once. One of the Hub is believed, as when its family was planned,
    as long as comparing would mean downloading. With `unchanged` both must be what the family was
    planned from. Raises Unhashed where more than `at_once` bytes would have to be hashed or
    compared here, SourceChanged where what is to be compared or unchanged is something else.
    """
    teacher = teacher_checkpoint(settings, student)
    checkpoint = student_checkpoint(settings, student)
    if student.origin is not Origin.DISTILLED:
        return given_pair(
            catalog, student, teacher, checkpoint, unchanged=unchanged, at_once=at_once
        )
    pair = Pair.of(teacher, checkpoint, verify=verify)
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
