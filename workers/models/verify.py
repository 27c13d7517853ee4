"""Whether a student that is said to be there is there, byte for byte.

A student is damaged where its own bytes are not those that it was made of. Anything else that keeps
a look from being taken (its teacher, the Hub, a folder that is not mounted) is an error of looking,
and says nothing about the student.
"""

from collections.abc import Iterator

from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.folders import content_commit, files_of, sha256_of
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BoomerangError, Interrupted, SourceChanged, StudentMismatch
from boomerang.family.pair import Pair
from boomerang.service.models import kept, pairs
from boomerang.service.models.digests import take_hash
from workers.context import Context
from workers.leases import Holding
from workers.models.folders import put_aside


def damage_of(context: Context, student: Student, held: Holding) -> str | None:
    """What is wrong with a student's own bytes, if anything; every one of them is read.

    Raises whatever keeps this from being found out.
    """
    folder = pairs.student_folder(context.settings, student)
    if not pairs.is_here(context.settings, student):
        if student.hub_commit is not None:
            return kept.damage(context.settings, student)
        if context.catalog.keeps_waiting(student.key):
            raise Interrupted(
                f"{student.teacher}'s student is on its way to the Hub.",
                value=student.key,
                fix="Wait for it.",
            )
    if not folder.is_dir():
        if not folder.parent.is_dir():
            raise Interrupted(
                f"The folder that {student.teacher}'s student lies in is not there.",
                value=folder.parent.name,
                fix="Mount it.",
            )
        return "its folder is gone"
    try:
        checkpoint = Checkpoint.open(folder, f"{student.teacher} (student)")
        read = dict(_read(checkpoint, held))
    except SourceChanged:
        # Somebody touches its files just now; what they are then is for the next look.
        raise
    except (BoomerangError, FileNotFoundError) as error:
        return str(error)
    if student.origin is Origin.FOLDER:
        commit = content_commit(checkpoint, lambda source: read[source.name])
        return None if commit == student.revision_commit else "its files are not those it was"
    known = student.files or {}
    changed = sorted(name for name in known if read.get(name) != known[name])
    if changed:
        return f"{', '.join(changed)} changed since it became ready"
    return _misfit(context, student, checkpoint, sure=bool(known))


def _misfit(
    context: Context, student: Student, checkpoint: Checkpoint, *, sure: bool
) -> str | None:
    """Whether a student is none of its teacher's. `sure` are bytes that were checked before."""
    teacher = pairs.teacher_checkpoint(context.settings, student)
    if student.teacher_source is not None:
        pairs.check_folder(context.catalog, student.teacher_commit, teacher)
    try:
        near = not pairs.is_remote(teacher)
        # One of ours says itself what it keeps.
        given = None if student.origin is Origin.DISTILLED else tuple(student.kept)
        pair = Pair.of(teacher, checkpoint, kept=given, verify=near)
    except StudentMismatch as error:
        if sure:
            raise
        return str(error)
    if pair.layermap.kept != student.kept:
        return f"it keeps layers {list(pair.layermap.kept)} instead of {list(student.kept)}"
    return None


def hashes(context: Context, student: Student, held: Holding) -> dict[str, str]:
    """The sha256 of each of a student's files, by name, remembered for whoever asks for them.

    Of one that is only on the Hub, as they were when it became ready.
    """
    if student.hub_commit is not None and not pairs.is_here(context.settings, student):
        return dict(student.files or {})
    folder = pairs.student_folder(context.settings, student)
    found = {}
    for source in files_of(Checkpoint.open(folder)):
        held.check()
        found[source.name] = context.catalog.known_hash(source.path) or take_hash(
            context.catalog, source
        )
    return found


def _read(checkpoint: Checkpoint, held: Holding) -> Iterator[tuple[str, str]]:
    for source in files_of(checkpoint):
        held.check()
        yield source.name, sha256_of(source)


def set_aside(context: Context, student: Student, held: Holding, why: str) -> None:
    """Give a damaged student another name, with the reason beside it: it cost GPU time."""
    folder = context.settings.student_folder(student.key)
    if not folder.exists():
        return
    # Whoever was given up for dead must not move what another has made since.
    held.keep()
    name = put_aside(folder, held.lease.fence, f"student of {student.teacher}", why)
    told = {"name": name, "reason": why}
    context.catalog.student_set_aside(student.key, told, lease=held.lease)
