"""The bodies of the Hub's reading interface, made from the files of a member.

Digests are those with which the Hub's clients check a download. A small file has git's own name for
its content. Weights have a sha256 once the worker that built them took it; for the sake of a
listing nothing is read here but small files.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any

from app.hub.facts import brief, full, moment
from app.serving.digests import built_digest
from app.serving.volume import Volume
from boomerang.assembly.bytefile import ByteFile, Literal, Range
from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.sources import FileSource
from boomerang.service.settings import Settings

MAIN = "main"
BRANCH = "refs/heads/main"
SMALL_BYTES = 64 << 20
"""The largest file that is read to be named: tokenizers have up to some 40 MB."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One file as the Hub lists it: `oid` has 40 hex digits; `sha256` is that of a large file."""

    size: int
    oid: str
    sha256: str | None = None

    def lfs(self, key: str) -> dict[str, Any]:
        """What of a large file is told besides: its sha256, and the pointer's size in git."""
        if self.sha256 is None:
            return {}
        pointer = len(_pointer(self.sha256, self.size))
        return {"lfs": {key: self.sha256, "size": self.size, "pointerSize": pointer}}


def blob_of(volume: Volume, name: str, settings: Settings, catalog: Catalog) -> Blob:
    """How a file of a member is listed.

    A file that nobody hashed yet is called by its ETag, which stands for its bytes but does not
    come from them.
    """
    file = volume.files[name]
    if name.endswith(".safetensors"):
        sha256 = built_digest(volume, name, settings, catalog)
        if sha256 is not None:
            return Blob(file.size, git_oid(_pointer(sha256, file.size)), sha256)
        return Blob(file.size, volume.etag(name))
    return Blob(file.size, _small_oid(file) or volume.etag(name))


def git_oid(data: bytes) -> str:
    """The name that git gives to these bytes as a file."""
    header = b"blob %d\0" % len(data)
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def folder_oid(entries: dict[str, str]) -> str:
    """A name for a folder, from those of what lies in it."""
    listed = "".join(f"{oid} {name}\n" for name, oid in sorted(entries.items()))
    return git_oid(listed.encode())


def _pointer(sha256: str, size: int) -> bytes:
    """Git-lfs' pointer file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
    spec = "https://git-lfs.github.com/spec/v1"
    return f"version {spec}\noid sha256:{sha256}\nsize {size}\n".encode()


def _small_oid(file: ByteFile) -> str | None:
    if file.size > SMALL_BYTES:
        return None
    if all(isinstance(piece, Literal) for piece in file.pieces):
        return git_oid(file.read())
    first: Any = file.pieces[0]
    whole = isinstance(first, Range) and len(file.pieces) == 1 and first.start == 0
    if whole and isinstance(first.source, FileSource) and first.source.size == file.size:
        return _file_oid(first.source)
    return None


@lru_cache(maxsize=4096)
def _file_oid(source: FileSource) -> str:
    # The source holds size, inode and modification time: another file is another key.
    return git_oid(source.read(0, source.size))


@dataclass(frozen=True)
class Answers:
    """What the Hub would say of a member: one for each request."""

    volume: Volume
    settings: Settings
    catalog: Catalog

    def info(self, *, blobs: bool, expand: Sequence[str] | None) -> dict[str, Any]:
        """What `model_info` asks; with `expand` only those of these properties."""
        volume = self.volume
        private = bool(self.settings.api_keys)
        body = brief(volume.repo_id, volume.family, volume.member, private=private) | full(volume)
        if not expand or "siblings" in expand:
            body["siblings"] = [self._sibling(name, blobs) for name in sorted(volume.files)]
        if not expand:
            return body
        asked = {"_id", "id", "modelId", *expand}
        return {key: value for key, value in body.items() if key in asked}

    def tree(self, folder: str, *, recursive: bool, expand: bool) -> list[dict[str, Any]] | None:
        """The entries below a folder ("" is the root), folders first; None where there is none."""
        below = f"{folder}/" if folder else ""
        if folder and folder not in self._folders:
            return None
        paths = [path for path in self._paths if path.startswith(below)]
        shown = [path for path in paths if recursive or "/" not in path[len(below) :]]
        return list(self._entries(shown, expand))

    def entries(self, paths: Iterable[str], *, expand: bool) -> list[dict[str, Any]]:
        """Facts about those of the named files and folders that there are."""
        known = set(self._paths)
        asked = dict.fromkeys(path.strip("/") for path in paths)
        return list(self._entries([path for path in asked if path in known], expand))

    def refs(self) -> dict[str, Any]:
        """Branches and tags: one branch."""
        branch = {"name": MAIN, "ref": BRANCH, "targetCommit": self.volume.revision}
        return {"branches": [branch], "converts": [], "tags": [], "pullRequests": []}

    def commits(self) -> list[dict[str, Any]]:
        """The history: what is served now."""
        commit = self._commit
        author = {"user": "boomerang", "avatar": ""}
        return [{**commit, "message": "", "authors": [author]}]

    @property
    def _commit(self) -> dict[str, Any]:
        family, member = self.volume.family, self.volume.member
        date = moment(max(family.updated, member.updated))
        return {"id": self.volume.revision, "title": f"{member.size} of {family.name}",
                "date": date}  # fmt: skip

    @cached_property
    def _folders(self) -> list[str]:
        parents = (PurePosixPath(name).parents[:-1] for name in self.volume.files)
        return sorted({str(folder) for folders in parents for folder in folders})

    @cached_property
    def _paths(self) -> list[str]:
        return [*self._folders, *sorted(self.volume.files)]

    def _entries(self, paths: Sequence[str], expand: bool) -> Iterator[dict[str, Any]]:
        for path in paths:
            if path in self.volume.files:
                yield self._file(path, expand)
            else:
                below = [name for name in self.volume.files if name.startswith(f"{path}/")]
                oid = folder_oid({name: self._blob(name).oid for name in below})
                yield {"type": "directory", "oid": oid, "size": 0, "path": path,
                       **self._expanded(expand)}  # fmt: skip

    def _file(self, name: str, expand: bool) -> dict[str, Any]:
        blob = self._blob(name)
        entry: dict[str, Any] = {"type": "file", "oid": blob.oid, "size": blob.size, "path": name}
        return entry | blob.lfs("oid") | self._expanded(expand)

    def _expanded(self, expand: bool) -> dict[str, Any]:
        return {"lastCommit": self._commit} if expand else {}

    def _sibling(self, name: str, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": name}
        blob = self._blob(name)
        return {"rfilename": name, "size": blob.size, "blobId": blob.oid} | blob.lfs("sha256")

    def _blob(self, name: str) -> Blob:
        return blob_of(self.volume, name, self.settings, self.catalog)
