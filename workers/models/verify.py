"""Whether what is said to be there is there, byte for byte: students, built and published members.

A student is damaged where its own bytes are not those that it was made of. Anything else that keeps
a look from being taken (its teacher, the Hub, a folder that is not mounted) is an error of looking,
and says nothing about the student.
"""

import logging
import shutil
from collections.abc import Iterator

from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import Fact
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.folders import content_commit, files_of, sha256_of
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import (
    BoomerangError,
    Interrupted,
    SourceChanged,
    StudentMismatch,
    TeacherNotFound,
)
from boomerang.family.pair import Pair
from boomerang.hub import remote
from boomerang.service.models import pairs
from boomerang.service.models.digests import take_hash
from workers import assemble
from workers.context import Context
from workers.leases import Holding, holding
from workers.models.folders import put_aside
from workers.models.members import member_files

log = logging.getLogger("boomerang.workers")


def damage_of(context: Context, student: Student, held: Holding) -> str | None:
    """What is wrong with a student's own bytes, if anything; every one of them is read.

    Raises whatever keeps this from being found out.
    """
    folder = pairs.student_folder(context.settings, student)
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
        kept = None if student.origin is Origin.DISTILLED else tuple(student.kept)
        pair = Pair.of(teacher, checkpoint, kept=kept, verify=near)
    except StudentMismatch as error:
        if sure:
            raise
        return str(error)
    if pair.layermap.kept != student.kept:
        return f"it keeps layers {list(pair.layermap.kept)} instead of {list(student.kept)}"
    return None


def hashes(context: Context, student: Student, held: Holding) -> dict[str, str]:
    """The sha256 of each of a student's files, by name, remembered for whoever asks for them."""
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


def verify_members(context: Context, student: Student, held: Holding) -> None:
    """Look at what was built and published of a student; what is gone is not said to be there.

    A built folder that is damaged is removed (it is made of the two models again), and the requests
    for it are open again. Raises what keeps the Hub from being asked.
    """
    for family in context.catalog.families(student=student.key):
        for member in context.catalog.members(family.id):
            held.check()
            if member.built is Fact.YES and context.settings.members.is_dir():
                _verify_built(context, family, member, held)
            if member.published is Fact.YES and member.repo and member.commit:
                _verify_published(context, family, member)


def _verify_built(context: Context, family: Family, member: Member, held: Holding) -> None:
    folder = context.settings.member_folder(member.digest)
    with holding(context, work_of("built", member.digest)) as own:
        if own is None:
            return
        files = member_files(context, family, member)
        damage = assemble.damage_of(context, folder, files, look=held.check)
        if damage is None:
            return
        log.warning("member %s of %s is damaged: %s", member.size, family.id, damage)
        if folder.exists():
            shutil.rmtree(folder)
        context.catalog.member_gone(family.id, member.k, "built", damage, lease=own.lease)


def _verify_published(context: Context, family: Family, member: Member) -> None:
    # Else whoever publishes it again just now would bring back what somebody has taken down.
    with holding(context, work_of("published", member.digest)) as own:
        if own is None:
            return
        member = context.catalog.member(family.id, member.k)
        if member.published is not Fact.YES:
            return
        try:
            remote.resolve(str(member.repo), member.commit, endpoint=context.settings.hub_endpoint)
        except TeacherNotFound as error:
            gone = context.catalog.member_gone
            gone(family.id, member.k, "published", error.detail, lease=own.lease)
