"""Students of ours on the Hub: taken from there instead of distilled, and pushed there once ready.

Nothing that cost time on a device hangs on the Hub: a student that cannot be pushed stays ready,
and one that cannot be believed is distilled.
"""

import logging
from collections.abc import Mapping
from functools import partial

from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.leases import keeping_of
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import LostLease, StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.files import CARD
from boomerang.errors import BadName, BoomerangError, CorruptCheckpoint, Interrupted
from boomerang.hub.publish import publish
from boomerang.retries import passes
from boomerang.service.models import kept, pairs
from boomerang.service.models.cards import student_card_text
from workers.context import Context
from workers.leases import Holding, holding
from workers.models.layers import pinned
from workers.models.verify import hashes
from workers.outages import patiently, said, setback

log = logging.getLogger("boomerang.workers")


def take(context: Context, student: Student, held: Holding, looked: tuple[Item, ...] = ()) -> bool:
    """Take a student that somebody has distilled before from the Hub, where it is there and whole.

    What is there and is not the student is told (event `not-taken`) and left alone; `looked` is for
    its rebuilds. Raises what keeps the Hub from being asked, and LostLease.
    """
    catalog, settings = context.catalog, context.settings
    if not (settings.students or student.hub_repo) or student.origin is not Origin.DISTILLED:
        return False
    if student.saved is not None or pairs.student_folder(settings, student).is_dir():
        # It is on its way here, or made: that hangs on no Hub.
        return False
    teacher = pairs.teacher_checkpoint(settings, student)
    try:
        found = kept.look(settings, student, teacher)
    except BoomerangError as error:
        if passes(error):
            raise
        told = {"repo": student.hub_repo or kept.repo_of(settings, student.key)}
        told |= {"reason": str(error)}
        patiently(held)(catalog.student_note, student.key, "not-taken", told, lease=held.lease)
        log.warning("student %s is not taken from the Hub: %s", student.key, error)
        return False
    if found is None:
        return False
    if student.provisional:
        student = pinned(context, student, teacher, held, found.kept, None)
        if student.kept != found.kept:
            return False  # somebody measured others meanwhile
    whole = partial(catalog.student_whole, made=True, taken=(found.repo, found.commit))
    patiently(held)(whole, student.key, found.files, looked=looked, lease=held.lease)
    log.info("student %s is taken from %s", student.key, found.repo)
    return True


def push(context: Context, key: str) -> str:
    """Push a student that is ready to the repository of its key; return what was done, in a word.

    What is there already is left alone, whatever it is, but for one of ours that is damaged.
    """
    catalog, settings = context.catalog, context.settings
    if not settings.students:
        return "not wanted"
    with holding(context, keeping_of(key)) as held:
        if held is None:
            return "already running"
        student = catalog.student(key)
        ready = student.state is StudentState.READY and student.origin is Origin.DISTILLED
        if not ready or student.hub_commit is not None:
            return "not wanted"
        try:
            return "kept" if _push(context, student, held) else "not wanted"
        except LostLease:
            return "lost"
        except Exception as error:
            kind = setback(error, f"student {key}")
            again = None if kind is None else (kind, settings.limits)
            told = patiently(held)(
                catalog.student_not_kept, key, said(error), again, lease=held.lease
            )
            return "again" if told else "failed"


def _push(context: Context, student: Student, held: Holding) -> bool:
    catalog, settings = context.catalog, context.settings
    if not pairs.is_here(settings, student):
        raise Interrupted(
            "Its folder is on another machine.", value=student.key,
            fix="Have the workers of that machine listen to the queue publish.",
        )  # fmt: skip
    repo = student.hub_repo or kept.repo_of(settings, student.key)
    folder = pairs.student_folder(settings, student)
    digests = student.files or hashes(context, student, held)
    commit = _there(context, student, digests)
    if commit is None:
        files = kept.files_to_keep(folder, digests)
        commit = publish(
            repo,
            {**files, CARD: _card(context, student, repo, files)},
            private=True,
            message=f"The student {student.key} of {student.teacher}",
            known=digests,
            endpoint=settings.hub_endpoint,
        ).commit
    told = patiently(held)(
        catalog.student_kept, student.key, repo, commit, digests, lease=held.lease
    )
    return bool(told)


def _card(context: Context, student: Student, repo: str, files: Mapping[str, ByteFile]) -> ByteFile:
    pair = pairs.open_pair(context.settings, context.catalog, student, verify=False)
    family = next(iter(context.catalog.families(student=student.key)), None)
    return ByteFile.literal(student_card_text(pair, student, family, repo, files.keys()))


def _there(context: Context, student: Student, digests: dict[str, str]) -> str | None:
    """The commit at which the Hub has exactly this student; None where it has nothing, or a damaged
    one of ours. Raises where something else lies there.
    """
    teacher = pairs.teacher_checkpoint(context.settings, student)
    try:
        found = kept.look(context.settings, student, teacher)
    except BoomerangError as error:
        if student.hub_repo is None or not isinstance(error, CorruptCheckpoint):
            raise
        return None
    if found is None or found.files == digests:
        return None if found is None else found.commit
    if student.hub_repo is not None:
        return None
    raise BadName(
        f"{found.repo!r} holds other weights of this student, of another installation.",
        value=found.repo,
        fix="Rebuild the family with force, which makes one of another key.",
    )


def mend(context: Context, student: Student, held: Holding) -> tuple[Item, ...]:
    """Have a student that is whole here pushed again where the Hub's copy is not; what was found.

    Raises what keeps the Hub from being asked, and LostLease.
    """
    catalog, settings = context.catalog, context.settings
    if student.hub_commit is None or not pairs.is_here(settings, student):
        return ()
    repo, damage = str(student.hub_repo), kept.damage(settings, student)
    if damage is None:
        return (Item(kind="repository", name=repo, state="whole"),)
    log.warning("student %s on the Hub: %s", student.key, damage)
    catalog.student_unkept(student.key, repo, damage, lease=held.lease)
    told = "it is pushed again"
    return (Item(kind="repository", name=repo, state="mended", found=damage, reason=told),)
