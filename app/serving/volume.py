"""A member as files: what they are, and the names that stand for their bytes."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boomerang.assembly.bytefile import ByteFile, Literal, tar
from boomerang.catalog.records.families import Family, Member
from boomerang.checkpoint.files import RECORD
from boomerang.errors import FileNotInModel
from boomerang.family.pair import Pair
from boomerang.service.models.members import member_files
from boomerang.service.settings import Settings

FORMAT = "2"
"""Changed whenever the weights of the same member would be written as other bytes."""


@dataclass(frozen=True)
class Volume:
    """A member with its files. `revision` names them all: a card that changes is a new one.

    `pinned` stands for teacher, student and composition: what every byte but the card comes from.
    """

    family: Family
    member: Member
    repo_id: str
    files: dict[str, ByteFile]
    revision: str
    pinned: str

    @cached_property
    def tar(self) -> ByteFile:
        """The whole model as one file."""
        return tar(self.files, self.repo_id.rsplit("/", 1)[-1])

    @cached_property
    def _etags(self) -> dict[str, str]:
        return {}

    def etag(self, name: str) -> str:
        """A strong validator of one file of it (the empty name: the tar).

        It stays what it is when only another file changes: whoever has the weights keeps them.
        """
        if name in self._etags:
            return self._etags[name]
        total = hashlib.sha256(f"{self.pinned if name else self.revision}/{name}".encode())
        if name:
            total.update(f" {self.files[name].size}\n".encode())
            for piece in self.files[name].pieces:
                total.update(piece.data if isinstance(piece, Literal) else b"")
        self._etags[name] = total.hexdigest()[:40]
        return self._etags[name]

    def file(self, name: str) -> ByteFile:
        """One file. Raises FileNotInModel."""
        if name not in self.files:
            raise FileNotInModel(
                f"{self.repo_id} has no file {name!r}.",
                value=name,
                fix=f"It has {', '.join(sorted(self.files))}.",
            )
        return self.files[name]


def volume_of(
    settings: Settings, pair: Pair, family: Family, member: Member, repo: str, card: str,
    record: dict[str, Any],
) -> Volume:  # fmt: skip
    """A member with this text as its card, and this in its record."""
    files = member_files(settings, pair, member, record=record, card=card)
    students = json.dumps(pair.student.checkpoint.json(RECORD), sort_keys=True)
    pinned = hashlib.sha256(f"{FORMAT}\n{member.digest}\n{students}".encode()).hexdigest()
    # 40 hex digits for every byte of every file. The digest pins teacher and student; what is
    # written here is hashed itself. The student's own record is in it because a student that was
    # damaged is made again under its key.
    total = hashlib.sha256(f"{pinned}\n".encode())
    for name, file in sorted(files.items()):
        total.update(f"{name} {file.size}\n".encode())
        if all(isinstance(piece, Literal) for piece in file.pieces):
            total.update(file.read())
    return Volume(family, member, repo, files, total.hexdigest()[:40], pinned)
