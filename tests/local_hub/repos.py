"""Repositories of the test Hub: commits as tables of files."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.local_hub.accounts import OWNER, READER

__all__ = ["OWNER", "READER"]

LFS_SUFFIXES = (".safetensors", ".bin", ".pth", ".gguf", ".model")
LFS_BYTES = 1_000_000


class HubError(Exception):
    """An answer that is an error; `code` goes into X-Error-Code."""

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers: dict[str, str] = extra.pop("headers", {})
        self.extra = extra


@dataclass(frozen=True)
class Blob:
    """One file of a commit."""

    sha256: str
    size: int
    oid: str
    lfs: bool
    xet: str | None = None

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """As `tree` and `paths-info` list it."""
        found: dict[str, Any] = {"type": "file", "path": path, "size": self.size, "oid": self.oid}
        if self.lfs:
            found["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        if self.xet:
            found["xetHash"] = self.xet
        return found


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    parent: str | None
    date: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """`objects` are the large files that arrived in it, committed or not; `access` is who could
    see it from when on, as (time, private, gated).
    """

    id: str
    private: bool = False
    gated: bool | str = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    access: list[tuple[str, bool, bool | str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.access:
            self.show(self.private, self.gated)

    @property
    def seen(self) -> list[tuple[bool, bool | str]]:
        """Whether it was private, and gated, since it was made: each state that a reader met."""
        return [(private, gated) for _, private, gated in self.access]

    def at(self, revision: str) -> Commit:
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[oid]

    def file(self, revision: str, path: str) -> tuple[Commit, Blob]:
        commit = self.at(revision)
        if path not in commit.files:
            head = {"X-Repo-Commit": commit.oid}
            raise HubError(404, "EntryNotFound", f"{path} does not exist", headers=head)
        return commit, commit.files[path]

    def blobs(self) -> Iterator[Blob]:
        """Of all commits."""
        return (blob for commit in self.commits.values() for blob in commit.files.values())

    def committed(self, sha256: str) -> bool:
        return any(blob.sha256 == sha256 for blob in self.blobs())

    def commit(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        parent = self.branches.get(branch)
        text = json.dumps([self.id, parent, title, now(), {p: b.sha256 for p, b in files.items()}])
        made = Commit(hashlib.sha1(text.encode()).hexdigest(), title, parent, now(), files)
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made

    def history(self, revision: str) -> list[Commit]:
        """Newest first."""
        found, at = [], self.at(revision).oid
        while at is not None:
            found.append(self.commits[at])
            at = self.commits[at].parent
        return found

    def show(self, private: bool, gated: bool | str) -> None:
        """Change who sees it, and remember when that was."""
        self.private, self.gated = private, gated
        self.access.append((now(), private, gated))

    def kept(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self) | {"objects": sorted(self.objects)}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> "Repo":
        """From what `kept` gave."""
        commits = {
            oid: Commit(**one | {"files": {p: Blob(**b) for p, b in one["files"].items()}})
            for oid, one in kept["commits"].items()
        }
        access = [tuple(one) for one in kept["access"]]
        return cls(**kept | {"commits": commits, "objects": set(kept["objects"]), "access": access})


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_large(path: str, size: int) -> bool:
    """Whether a file goes to large file storage."""
    return path.endswith(LFS_SUFFIXES) or size > LFS_BYTES
