"""What the test Hub keeps in its folder: contents by sha256, and each repository as JSON.

A Hub that is started over the same folder goes on where the other ended.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests.local_hub.accounts import writes
from tests.local_hub.repos import Blob, Commit, HubError, Repo, is_large
from tests.local_hub.traffic import Traffic

ATTRIBUTES = "".join(
    f"{pattern} filter=lfs diff=lfs merge=lfs -text\n"
    for pattern in ("*.safetensors", "*.bin", "*.pth", "*.gguf", "*.model")
)


class Store:
    """All repositories, and the folder that holds their contents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        shutil.rmtree(self.incoming, ignore_errors=True)
        for path in (folder / "blobs", folder / "repos", self.incoming):
            path.mkdir(parents=True, exist_ok=True)
        self.traffic = Traffic(folder / "traffic.jsonl")
        kept = [json.loads(path.read_text()) for path in (folder / "repos").glob("*.json")]
        self.repos: dict[str, Repo] = {one["id"]: Repo.of(one) for one in kept}
        collections = folder / "collections.json"
        self.collections: dict[str, dict[str, Any]] = (
            json.loads(collections.read_text()) if collections.is_file() else {}
        )

    def save(self, repo: Repo) -> None:
        """Have a restarted Hub know this repository as it is now."""
        name = quote(repo.id, safe="") + ".json"
        self._replace(self.folder / "repos" / name, json.dumps(repo.kept()).encode())

    def save_collections(self) -> None:
        self._replace(self.folder / "collections.json", json.dumps(self.collections).encode())

    def _replace(self, path: Path, data: bytes) -> None:
        arrived = self.arriving()
        arrived.write_bytes(data)
        os.replace(arrived, path)

    def path(self, sha256: str) -> Path:
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise HubError(400, "BadRequest", "not a sha256")
        return self.folder / "blobs" / sha256

    def arriving(self) -> Path:
        """A new file for what is not whole yet; it is gone after a restart."""
        descriptor, name = tempfile.mkstemp(dir=self.incoming)
        os.close(descriptor)
        return Path(name)

    def keep(self, chunks: Iterable[bytes], sha256: str) -> None:
        """Put a content among the blobs, without holding it in memory."""
        arrived, digest = self.arriving(), hashlib.sha256()
        with open(arrived, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != sha256:
            arrived.unlink()
            raise HubError(400, "BadRequest", "the content is not what was announced")
        os.replace(arrived, self.path(sha256))

    def put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        self._replace(self.path(sha256), data)
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

    def create(self, id: str, private: bool, gated: bool | str = False) -> Repo:
        repo = self.repos[id] = Repo(id, private, gated)
        repo.commit("main", "initial commit", {".gitattributes": self.blob(ATTRIBUTES.encode())})
        self.save(repo)
        return repo

    def remove(self, repo: Repo) -> None:
        del self.repos[repo.id]
        (self.folder / "repos" / (quote(repo.id, safe="") + ".json")).unlink()

    def find(self, id: str, token: str | None) -> Repo:
        """Private repos look missing to who may not see them, as on the Hub."""
        repo = self.repos.get(id)
        if repo is None or (repo.private and not writes(token, id.split("/")[0])):
            raise HubError(401 if token is None else 404, "RepoNotFound", "Repository not found")
        return repo

    def listed(self, token: str | None, search: str, kind: str, limit: int) -> list[dict[str, Any]]:
        """The models that a search finds among those that its asker may see."""
        found = []
        for repo in self.repos.values():
            hidden = repo.private and not writes(token, repo.id.split("/")[0])
            files = repo.at("main").files
            fits = kind != "safetensors" or any(name.endswith(".safetensors") for name in files)
            if not hidden and fits and search.casefold() in repo.id.casefold():
                config = json.loads(self.content(repo, "main", "config.json")) if (
                    "config.json" in files) else {}  # fmt: skip
                found.append({"id": repo.id, "config": {"model_type": config.get("model_type")}})
        return found[:limit]

    def content(self, repo: Repo, revision: str, path: str) -> bytes:
        return self.path(repo.file(revision, path)[1].sha256).read_bytes()

    def describe(self, repo: Repo, revision: str, sizes: bool) -> dict[str, Any]:
        """The answer to model_info."""
        commit = repo.at(revision)
        card = self._card(commit)
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

    def _card(self, commit: Commit) -> dict[str, Any]:
        if "README.md" not in commit.files:
            return {}
        text = self.path(commit.files["README.md"].sha256).read_text()
        parts = text.split("---\n", 2)
        return yaml.safe_load(parts[1]) or {} if len(parts) == 3 and not parts[0] else {}
