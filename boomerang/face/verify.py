"""Whether a member is what it says it is made of: from headers and ranges of three models alone."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from boomerang.assembly.bytefile import CHUNK, ByteFile
from boomerang.assembly.comparing import Part, every, first_difference, runs, sampled
from boomerang.assembly.expected import (
    Mismatch,
    as_claimed,
    differing_config,
    differing_header,
    expected,
    located,
    origin,
    strays,
    without_student,
)
from boomerang.assembly.record import Origin, Record
from boomerang.assembly.stitch import member_files
from boomerang.checkpoint.files import CARD, CONFIG, INDEX, RECORD
from boomerang.checkpoint.folders import Folders, content_commit, files_of, sha256_of
from boomerang.checkpoint.sources import Source
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BoomerangError, GatedTeacher, HubFailure, NotFound, SourceChanged
from boomerang.face.plan import Named, found
from boomerang.family.composition import Composition, Side
from boomerang.family.pair import Pair
from boomerang.hub.find import Found, find
from boomerang.processes.json_lines import Told

SAMPLE = 256_000_000
"""Bytes of the member that are compared unless something else is asked for."""
_OUT_OF_REACH = (NotFound, GatedTeacher, HubFailure, SourceChanged)
_HUB = Folders(None, "the Hub")
"""Where a record's names are looked up: it may come from anybody, and names no folder of ours."""
_ONE_SHARD = 1 << 62


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about a member.

    `tensors` and `bytes` are those that it has, `compared` the bytes that were read and equal,
    `known` those of files whose sha256 the Hub lists for both. Where not all bytes were compared,
    `seed` has chosen which. `unchecked` says what could not be looked at, `mismatch` the first
    thing that is not what it should be. `teacher` and `student` are what it was compared with.
    """

    name: str
    commit: str | None
    size: str | None
    composition: str
    format: int
    teacher: str
    student: str | None
    tensors: int
    bytes: int
    compared: int = 0
    known: int = 0
    seed: int | None = None
    teacher_only: bool = False
    unchecked: tuple[str, ...] = ()
    mismatch: Mismatch | None = None

    @property
    def proven(self) -> bool:
        """Whether it is what it says, as far as was asked."""
        return self.mismatch is None and (self.teacher_only or not self.unchecked)


def verify(
    member: Named, revision: str | None = None, *, teacher: Named | None = None,
    student: Named | None = None, whole: bool = False, sample: int = SAMPLE,
    seed: int | None = None, teacher_only: bool = False, told: Told | None = None,
) -> Verified:  # fmt: skip
    """Compare a member, a folder or a Hub repo id, with the teacher and the student it names.

    `teacher` and `student` are read instead of those that its boomerang.json names. All names,
    dtypes, shapes, its config and the files beside the weights are compared, and `sample` bytes at
    places of its tensors that `seed` chooses, or the `whole`. A student that cannot be read is
    `unchecked`; with `teacher_only` none is looked for. `told` is called as bytes are compared.

    Raises NotAMember, or as `find` and `Pair.of` where the member, the teacher or a student that
    was given cannot be read.
    """
    model = find(str(member), revision) if revision is not None else found(member)
    record = Record.read(model.name, model.checkpoint.json(RECORD))
    of_teacher = _teacher(model.name, record, teacher)
    unchecked: list[str] = []
    of_student = None
    if Side.STUDENT in record.composition.sides and not teacher_only:
        of_student = _student(record, student, unchecked)
    pair = _pair(model.checkpoint, record.composition, of_teacher, of_student)
    placed = expected(pair, record.composition)
    tensors = {item.name: item.size for item in placed}
    report = Verified(
        name=model.public_name,
        commit=model.resolved.commit if model.resolved else None,
        size=record.size,
        composition=record.composition.code,
        format=record.format,
        teacher=_called(of_teacher),
        student=_called(of_student) if of_student else None,
        tensors=len(tensors),
        bytes=sum(tensors.values()),
        teacher_only=teacher_only,
    )
    wrong = (
        _other(of_teacher, record.teacher, "teacher", whole=whole)
        or (of_student and _other(of_student, record.student, "student", whole=whole))
        or _said(model, record, pair)
        or differing_header(model.checkpoint, placed)
        or _beside(model.checkpoint, pair, record.composition)
    )
    if wrong:
        return replace(report, mismatch=wrong)
    if of_student is None:
        lost = {item.name: item.size for item in placed if item.side is Side.STUDENT}
        placed = [item for item in placed if item.side is Side.TEACHER]
        if lost:
            what = f"{len(lost)} tensors of the student ({sum(lost.values()):,} bytes)"
            unchecked.append(f"{what} were compared with nothing.")
    report = replace(report, unchecked=tuple(unchecked))
    parts = every(dict(model.checkpoint.tensors), placed)
    return _compared(report, model.checkpoint, parts, None if whole else sample, seed, told)


def _compared(
    report: Verified, member: Checkpoint, parts: list[Part], sample: int | None, seed: int | None,
    told: Told | None,
) -> Verified:  # fmt: skip
    """The report with what comparing the bytes of these parts has found."""
    known = sum(part.stop - part.start for part in parts if part.known)
    read = [part for part in parts if not part.known]
    if sample is not None and sum(part.stop - part.start for part in read) > sample:
        seed = secrets.randbits(32) if seed is None else seed
        read = sampled(read, sample, seed)
    else:
        seed = None
    total, done = sum(part.stop - part.start for part in read), 0

    def count(length: int) -> None:
        nonlocal done
        done += length
        if told is not None:
            told({"event": "comparing", "done": done, "of": total})

    found = first_difference(runs(read), count)
    # Embeddings that are of both sides were read once for each.
    once = {part.item.name: part.stop - part.start for part in read}
    compared = min(done, sum(once.values()))
    report = replace(report, compared=compared, known=known, seed=seed)
    if found is None:
        return report
    run, offset = found
    tensor = located(member.tensors.values(), run.source.name, offset)
    items = [part.item for part in read if part.item.name == tensor.name]
    item = next((i for i in items if i.tensor.source is run.piece.source), items[0])
    file = tensor.source.name
    wrong = Mismatch(
        f"{tensor.name} differs from byte {offset} of {file} on.", file, tensor.name, offset,
        origin(item, offset - tensor.start),
    )  # fmt: skip
    return replace(report, mismatch=wrong)


def _teacher(name: str, record: Record, given: Named | None) -> Found:
    try:
        return _side(record.teacher, given)
    except BoomerangError as error:
        if given is not None:
            raise
        what = f"The teacher of {name!r} cannot be read: {error.detail}"
        fix = f"{error.fix} Name a folder or a repository as the teacher (--teacher)."
        raise type(error)(what, value=error.value, fix=fix.strip()) from error


def _student(record: Record, given: Named | None, unchecked: list[str]) -> Found | None:
    """The student, or None where there is no way to it, which is then said."""
    try:
        return _side(record.student, given)
    except _OUT_OF_REACH as error:
        if given is not None:
            raise
        unchecked.append(f"The student cannot be read: {error.detail}")
        return None


def _side(said: Origin, given: Named | None) -> Found:
    """The model that was given, or the one that the record names, at its commit."""
    if isinstance(given, str) and given == said.repo:
        given = None
    if given is not None:
        return found(given)
    if said.repo is None or said.commit is None:
        raise NotFound(f"{RECORD} names no repository of it.", value=said.name)
    return find(said.repo, said.commit, folders=_HUB)


def _called(model: Found) -> str:
    commit = model.resolved.commit if model.resolved else None
    return f"{model.public_name} at {commit[:12]}" if commit else model.public_name


def _pair(
    member: Checkpoint, composition: Composition, teacher: Found, student: Found | None
) -> Pair:
    if student is None:
        pair = without_student(teacher.checkpoint, composition, member.config)
    else:
        kept = composition.layermap.kept
        pair = Pair.of(teacher.checkpoint, student.checkpoint, kept=kept, verify=False)
    return as_claimed(pair, composition, member.config)


def _other(model: Found, said: Origin, which: str, *, whole: bool) -> Mismatch | None:
    """Whether a model is another than the record names, as far as its digests are known."""
    wanted, weights = said.files or {}, [*files_of(model.checkpoint)]
    if model.resolved is not None:
        have: Mapping[str, str] = model.resolved.sha256
    elif whole and wanted:
        have = {one.name: sha256_of(one) for one in weights if one.name in wanted}
    elif whole and said.repo is None and said.commit is not None:
        have, wanted = {"": content_commit(model.checkpoint)}, {"": said.commit}
    else:
        return None
    for name in sorted(wanted.keys() & have.keys()):
        if wanted[name] != have[name]:
            what = f"{name} of the {which}" if name else f"The folder of the {which}"
            return Mismatch(
                f"{what} is another than {RECORD} names.", RECORD, expected=wanted[name]
            )
    return None


def _said(model: Found, record: Record, pair: Pair) -> Mismatch | None:
    """What is wrong with the layer map, the config, and which files there are."""
    if pair.layermap != record.composition.layermap:
        have = pair.layermap.layers
        return Mismatch(f"The teacher has {have} layers.", RECORD, expected=f"{have} layers")
    member = model.checkpoint
    config = ByteFile.whole(member.files[CONFIG]).sha256()
    if record.config is not None and record.config != config:
        return Mismatch(f"{RECORD} is of another {CONFIG}.", CONFIG, expected=record.config)
    names: Iterable[str] = model.resolved.files if model.resolved else member.files
    return differing_config(pair, record.composition, member.config) or next(
        strays(member, names), None
    )


def _beside(member: Checkpoint, pair: Pair, composition: Composition) -> Mismatch | None:
    """The first file beside the weights that is not the teacher's."""
    wanted = member_files(pair, composition, shard_bytes=_ONE_SHARD)
    for name in sorted(wanted.keys() - {CONFIG, RECORD, CARD, INDEX}):
        if name.endswith(".safetensors"):
            continue
        source = member.files.get(name)
        if source is None:
            return Mismatch(f"There is no {name}.", name, expected=f"the teacher's {name}")
        theirs = pair.teacher.checkpoint.files.get(name)
        digest = getattr(source, "sha256", None)
        if digest is not None and digest == getattr(theirs, "sha256", None):
            continue
        if not _equal(source, wanted[name]):
            return Mismatch(f"{name} is another.", name, expected=f"the teacher's {name}")
    return None


def _equal(source: Source, file: ByteFile) -> bool:
    ends = [(at, min(at + CHUNK, file.size)) for at in range(0, file.size, CHUNK)]
    return source.size == file.size and all(source.read(*end) == file.read(*end) for end in ends)
