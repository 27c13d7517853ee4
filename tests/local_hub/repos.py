"""Repositories of the test Hub: commits as tables of files, contents by sha256 in a folder."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tests.local_hub.accounts import OWNER, READER, writes

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
    id: str
    private: bool = False
    gated: bool | str = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[bool, bool | str]] = field(default_factory=list)
    """Whether it was private, and gated, since it was made: each state that a reader met."""

    def __post_init__(self) -> None:
        self.show(self.private, self.gated)

    def show(self, private: bool, gated: bool | str) -> None:
        """Let others see it, or not."""
        self.private, self.gated = private, gated
        self.seen.append((private, gated))

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

    def commit(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        parent = self.branches.get(branch)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text = json.dumps([self.id, parent, title, now, {p: b.sha256 for p, b in files.items()}])
        made = Commit(hashlib.sha1(text.encode()).hexdigest(), title, parent, now, files)
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


class Store:
    """All repositories, and the folder that holds their contents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repos: dict[str, Repo] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        (folder / "blobs").mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise HubError(400, "BadRequest", "not a sha256")
        return self.folder / "blobs" / sha256

    def put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self.path(sha256).write_bytes(data)
        return sha256

    def blob(self, data: bytes) -> Blob:
        """A regular file, kept in git itself."""
        oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return Blob(self.put(data), len(data), oid, lfs=False)

    def pointer(self, sha256: str, xet: str | None = None) -> Blob:
        """A large file whose content has arrived already."""
        if not self.path(sha256).is_file():
            raise HubError(400, "BadRequest", f"LFS pointer to a missing object: {sha256}")
        size = self.path(sha256).stat().st_size
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        oid = hashlib.sha1(b"blob %d\0" % len(text) + text.encode()).hexdigest()
        return Blob(sha256, size, oid, lfs=True, xet=xet)

    def add(self, path: str, data: bytes) -> Blob:
        if is_large(path, len(data)):
            return self.pointer(self.put(data))
        return self.blob(data)

    def create(self, id: str, private: bool, gated: bool = False) -> Repo:
        repo = self.repos[id] = Repo(id, private, gated)
        repo.commit("main", "initial commit", {".gitattributes": self.blob(b"* text=auto\n")})
        return repo

    def find(self, id: str, token: str | None) -> Repo:
        """Private repos look missing to who may not see them, as on the Hub."""
        repo = self.repos.get(id)
        if repo is None or (repo.private and not writes(token, id.split("/")[0])):
            raise HubError(401 if token is None else 404, "RepoNotFound", "Repository not found")
        return repo

    def content(self, repo: Repo, revision: str, path: str) -> bytes:
        return self.path(repo.file(revision, path)[1].sha256).read_bytes()

    def describe(self, repo: Repo, revision: str, sizes: bool) -> dict[str, Any]:
        """The answer to model_info."""
        commit = repo.at(revision)
        card = self._card(repo, commit)
        siblings: list[dict[str, Any]] = []
        for path, blob in commit.files.items():
            sibling: dict[str, Any] = {"rfilename": path}
            if sizes:
                sibling |= {"size": blob.size, "blobId": blob.oid}
                if blob.lfs:
                    lfs = {"sha256": blob.sha256, "size": blob.size, "pointerSize": 134}
                    sibling["lfs"] = lfs
            siblings.append(sibling)
        tags = [*card.get("tags", [])]
        if "license" in card:
            tags.append(f"license:{card['license']}")
        return {
            "id": repo.id, "modelId": repo.id, "author": repo.id.split("/")[0],
            "sha": commit.oid, "private": repo.private, "disabled": False,
            "gated": "manual" if repo.gated is True else repo.gated, "lastModified": commit.date,
            "createdAt": commit.date, "downloads": 0, "likes": 0, "tags": tags,
            "cardData": card, "library_name": card.get("library_name"),
            "pipeline_tag": card.get("pipeline_tag"), "siblings": siblings,
        }  # fmt: skip

    def _card(self, repo: Repo, commit: Commit) -> dict[str, Any]:
        if "README.md" not in commit.files:
            return {}
        text = self.path(commit.files["README.md"].sha256).read_text()
        parts = text.split("---\n", 2)
        return yaml.safe_load(parts[1]) or {} if len(parts) == 3 and not parts[0] else {}


def is_large(path: str, size: int) -> bool:
    """Whether a file goes to large file storage."""
    return path.endswith(LFS_SUFFIXES) or size > LFS_BYTES
