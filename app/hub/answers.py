"""The bodies of the Hub's reading interface, made from the files of a member."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from app.hub.digests import Blob, blob_of, folder_oid
from app.hub.facts import brief, full, moment
from app.hub.paths import BRANCH, MAIN
from app.serving.volume import Volume
from boomerang.catalog.catalog import Catalog
from boomerang.service.settings import Settings


@dataclass(frozen=True)
class Answers:
    """What the Hub would say of a member: one for each request."""

    volume: Volume
    settings: Settings
    catalog: Catalog

    def info(self, *, blobs: bool, expand: Sequence[str] = ()) -> dict[str, Any]:
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
        if blob.sha256 is not None:
            entry["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
        return entry | self._expanded(expand)

    def _expanded(self, expand: bool) -> dict[str, Any]:
        return {"lastCommit": self._commit} if expand else {}

    def _sibling(self, name: str, blobs: bool) -> dict[str, Any]:
        if not blobs:
            return {"rfilename": name}
        blob = self._blob(name)
        entry: dict[str, Any] = {"rfilename": name, "size": blob.size, "blobId": blob.oid}
        if blob.sha256 is not None:
            entry["lfs"] = {
                "sha256": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size,
            }  # fmt: skip
        return entry

    def _blob(self, name: str) -> Blob:
        return blob_of(self.volume, name, self.settings, self.catalog)
