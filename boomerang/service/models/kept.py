"""A student of ours in a repository of its own on the Hub: what it is called, and whether it is it.

The key names the repository, so whoever would distil the same student finds it. What lies there is
believed where its record says so, and every file is the one that SHA256SUMS names.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.files import RECORD, travels
from boomerang.checkpoint.header import read_json
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import (
    BoomerangError,
    CorruptCheckpoint,
    NoSafetensors,
    StudentMismatch,
    TeacherNotFound,
)
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.hub import remote
from boomerang.hub.remote import Resolved
from boomerang.hub.source import HubSource
from boomerang.service.models import pairs
from boomerang.service.settings import Settings

SUMS = "SHA256SUMS"
"""The digest of each file of a student, as `sha256sum` writes and checks them."""
_SUMS_LIMIT = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S+)")


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole student on the Hub. `files` are the sha256 by which the catalog knows it."""

    repo: str
    commit: str
    kept: tuple[int, ...]
    files: dict[str, str]


def repo_of(settings: Settings, key: str) -> str:
    """The repository that a student's key names, in the namespace of the settings."""
    return f"{settings.students}/boomerang-student-{key}"


def look(
    settings: Settings, student: Student, teacher: Checkpoint, commit: str | None = None
) -> Kept | None:
    """The student that the repository of its key holds, now or at a commit; None where it is empty.

    Headers, and files that the Hub lists no sha256 of, are read; no weights. Raises StudentMismatch
    where it is another one, CorruptCheckpoint where it is not whole, GatedTeacher, HubFailure.
    """
    repo = student.hub_repo or repo_of(settings, student.key)
    try:
        resolved = remote.resolve(repo, commit, endpoint=settings.hub_endpoint)
    except (TeacherNotFound, NoSafetensors):
        return None
    digests = _digests(resolved)
    layermap = _said(resolved, student)
    pair = Pair.of(teacher, remote.checkpoint(resolved), verify=False)
    if pair.layermap != layermap:
        raise _damaged(repo, RECORD, "it and student_config.json name other layers")
    # By the names, and of the files, that stand for a folder's content.
    files = {PurePosixPath(n).name: sha256 for n, sha256 in digests.items() if not _index(n)}
    return Kept(repo, resolved.commit, layermap.kept, files)


def damage(settings: Settings, student: Student) -> str | None:
    """What is wrong with the student that the Hub keeps, if anything: by digests, not downloads.

    Raises what keeps the Hub from being asked.
    """
    teacher = pairs.teacher_checkpoint(settings, student)
    try:
        found = look(settings, student, teacher, student.hub_commit)
    except BoomerangError as error:
        if error.transient:
            raise
        return str(error)
    if found is None:
        return f"{student.hub_repo!r} is gone"
    return None if found.files == student.files else f"{student.hub_repo!r} holds other weights"


def files_to_keep(folder: Path, digests: Mapping[str, str]) -> dict[str, ByteFile]:
    """Every file of a student's folder and SHA256SUMS, by name; `digests` are those known."""
    found, sums = dict[str, ByteFile](), []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if travels(name):
            found[name] = ByteFile.whole(FileSource.of(path))
            digest = None if _index(name) else digests.get(path.name)
            sums.append(f"{digest or found[name].sha256()}  {name}\n")
    return {**found, SUMS: ByteFile.literal("".join(sums))}


def _index(name: str) -> bool:
    return name.endswith(".safetensors.index.json")


def _digests(resolved: Resolved) -> dict[str, str]:
    """The sha256 of every file that travels. Raises CorruptCheckpoint where one is another."""
    repo, size = resolved.repo_id, resolved.files.get(SUMS)
    if size is None or size > _SUMS_LIMIT:
        raise _damaged(repo, SUMS, "it is not there" if size is None else "it is too long")
    at = (repo, resolved.commit, SUMS, size, resolved.endpoint, resolved.sha256.get(SUMS))
    lines = HubSource(*at).read(0, size).decode("utf-8", "replace").splitlines()
    read = [_LINE.fullmatch(line) for line in lines]
    said = {match[2]: match[1] for match in read if match is not None}
    sources = remote.sources(resolved)
    if None in read or said.keys() != sources.keys():
        other = ", ".join(sorted(said.keys() ^ sources.keys())) or "its lines"
        raise _damaged(repo, SUMS, f"it does not agree with what is there ({other})")
    for name, source in sources.items():
        found = source.sha256 or hashlib.sha256(source.read(0, source.size)).hexdigest()
        if found != said[name]:
            raise _damaged(repo, name, f"its digest is not that of {SUMS}")
    return said


def _said(resolved: Resolved, student: Student) -> LayerMap:
    """The layers that the record names. Raises StudentMismatch where it is of another student."""
    repo, sources = resolved.repo_id, remote.sources(resolved)
    record = read_json(sources[RECORD]) if RECORD in sources else {}
    told = {name: record.get(name) for name in ("key", "teacher_commit", "layers")}
    wanted = {"key": student.key, "teacher_commit": student.teacher_commit,
              "layers": student.layers}  # fmt: skip
    kept = record.get("kept")
    if told == wanted and isinstance(kept, list) and all(isinstance(n, int) for n in kept):
        layermap = LayerMap.from_kept(kept, student.layers)
        same = len(kept) == len(student.kept) if student.provisional else (
            layermap.kept == tuple(student.kept))  # fmt: skip
        if same:
            return layermap
    raise StudentMismatch(
        f"{repo!r} holds another model than the student {student.key} of {student.teacher!r}.",
        value=repo,
        fix="Remove that repository, or name another namespace for students.",
    )


def _damaged(repo: str, name: str, how: str) -> CorruptCheckpoint:
    return CorruptCheckpoint(
        f"{name} of {repo!r}: {how}.",
        value=name,
        fix="Rebuild a family of the student that it was pushed from, or remove that repository.",
    )
