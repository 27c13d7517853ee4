"""boomerang.json of a member: what it is made of, so that anybody can prove it.

The format is docs/formats/boomerang.md. A record is made of what is known before a byte of the
weights is read, and of nothing that differs between processes: so a member has the same record
wherever it is streamed, built or published.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boomerang.checkpoint.files import RECORD
from boomerang.errors import NotAMember
from boomerang.family.composition import Composition, composition_of
from boomerang.family.layer_map import LayerMap

FORMAT = 2
"""The number of the format that is written; 1 are the records without a number."""
WRITTEN_BY = ">=0.2"
"""The versions of Boomerang that write this format: the same bytes for the same member.

The running version would make another file, and another commit, of each member with every update.
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The teacher or the student of a member, as its record names it.

    `repo` is where it lies on the Hub, if it does, and `commit` the commit there; of a folder 40
    hex digits over the content of its files. `key` is a student's, `files` the sha256 of its files.
    """

    name: str | None = None
    repo: str | None = None
    commit: str | None = None
    key: str | None = None
    files: Mapping[str, str] | None = None


def made_of(
    teacher: Origin, student: Origin, *, size: str | None, order: str | None, k: int
) -> dict[str, Any]:
    """What a record says beside the composition, as `stitch.member_files` takes it."""
    files = None if student.files is None else dict(sorted(student.files.items()))
    return {
        "format": FORMAT,
        "boomerang": WRITTEN_BY,
        "size": size,
        "order": order,
        "k": k,
        "teacher": {"name": teacher.name, "repo": teacher.repo, "commit": teacher.commit},
        "student": {"name": student.name, "key": student.key, "repo": student.repo,
                    "commit": student.commit, "files": files},
    }  # fmt: skip


def whole(made: Mapping[str, Any], composition: Composition, config: bytes) -> dict[str, Any]:
    """The record of a member: of what it was `made_of`, and how it is composed.

    `config` is its config.json. Without a format it is a record of format 1, as it always was.
    """
    record = {
        **made,
        "layer_map": {"kept": list(composition.layermap.kept),
                      "layers": composition.layermap.layers},
        "composition": composition.code,
        "layers": _layers(composition),
        "ends": _ends(composition),
    }  # fmt: skip
    if "format" in made:
        digest = _digest(composition, made["teacher"]["commit"], made["student"]["key"])
        record["digests"] = {"member": digest, "config": hashlib.sha256(config).hexdigest()}
    return record


def _layers(composition: Composition) -> list[str]:
    return [f"{layer.side}:{layer.index}" for layer in composition.layers]


def _ends(composition: Composition) -> dict[str, str]:
    ends = {"embeddings": composition.embeddings, "norm": composition.norm}
    return {**ends, "head": composition.head}


def _digest(composition: Composition, commit: str | None, key: str | None) -> str | None:
    return composition.digest(commit, key) if commit and key else None


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a member, read and free of contradictions.

    `config` is the sha256 of its config.json, None in format 1.
    """

    format: int
    size: str | None
    composition: Composition
    teacher: Origin
    student: Origin
    config: str | None = None

    @classmethod
    def read(cls, name: str, value: Mapping[str, Any] | None) -> "Record":
        """The record in a boomerang.json of the model `name`, of whichever format.

        Raises NotAMember where it is none, is of a later format, or contradicts itself;
        BadComposition and StudentMismatch for a composition or a layer map that is none.
        """
        if value is None or "composition" not in value:
            what = f"no {RECORD}" if value is None else f"a {RECORD} that names no composition"
            raise _none(name, f"It has {what}.", "Name a size that Boomerang has made.")
        number = value.get("format", 1)
        if type(number) is not int or not 1 <= number <= FORMAT:
            raise _none(name, f"Its {RECORD} is of format {number!r}.", "Update Boomerang.")
        try:
            return _read(name, value, number)
        except (KeyError, TypeError, AttributeError) as error:
            why = f"Its {RECORD} is not of format {number} ({type(error).__name__}: {error})."
            raise _none(name, why, "Publish it again.") from error


def _read(name: str, value: Mapping[str, Any], number: int) -> Record:
    kept, layers = value["layer_map"]["kept"], value["layer_map"]["layers"]
    if not _whole_numbers([*kept, layers]):
        raise TypeError("layer_map")
    composition = composition_of(LayerMap(tuple(kept), layers), str(value["composition"]))
    said = {"layers": value["layers"], "ends": value["ends"]}
    if said != {"layers": _layers(composition), "ends": _ends(composition)}:
        raise _none(
            name, f"The layers in its {RECORD} are not those of {composition.code}.", "Distrust it."
        )
    size = _text(value.get("size"))
    if number == 1:
        named, commit = _text(value.get("teacher")), _text(value.get("teacher_commit"))
        student = Origin(key=_text(value.get("student")))
        return Record(1, size, composition, Origin(named, named, commit), student)
    teacher, student = _origin(value["teacher"]), _origin(value["student"])
    digests = value["digests"]
    if digests["member"] != _digest(composition, teacher.commit, student.key):
        raise _none(
            name, f"The digest in its {RECORD} is not that of what it names.", "Distrust it."
        )
    return Record(number, size, composition, teacher, student, str(digests["config"]))


def _origin(value: Mapping[str, Any]) -> Origin:
    files = value.get("files")
    said = {key: _text(value.get(key)) for key in ("name", "repo", "commit", "key")}
    known = {str(name): str(digest) for name, digest in files.items()} if files else None
    return Origin(**said, files=known)


def _whole_numbers(values: Sequence[object]) -> bool:
    return all(type(value) is int for value in values)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _none(name: str, why: str, fix: str) -> NotAMember:
    return NotAMember(f"{name!r} is no member that can be verified. {why}", value=name, fix=fix)
