"""How large files arrive: by LFS (PUT, one part or many) or by xet (a folder that hf_xet writes).

`X-Xet-Cas-Url: local:///folder` makes the released hf_xet write to a folder instead of a CAS
server. Its database is locked to the writing process, so contents are read from a copy. A commit
names only the sha256; the shards say which xet hash that is.
Shard format: https://huggingface.co/docs/xet/shard
"""

import hashlib
import shutil
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from tests.local_hub.repos import Commit, HubError, Repo, Store

ENTRY = 48
"""Every record of a shard has 48 bytes."""
VERIFIED, DESCRIBED = 1 << 31, 1 << 30
PART_BYTES = 200_000
"""Objects above this size are sent in parts."""


def digits(raw: bytes) -> str:
    """A xet hash as text: four little-endian words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def files_of_shard(data: bytes) -> dict[str, tuple[str, int]]:
    """sha256 → (xet hash, size) of each file that a shard describes."""
    found: dict[str, tuple[str, int]] = {}
    at = ENTRY
    while data[at : at + 32] != b"\xff" * 32:
        xet = digits(data[at : at + 32])
        flags, count = struct.unpack_from("<II", data, at + 32)
        entries = range(at + ENTRY, at + ENTRY * (1 + count), ENTRY)
        size = sum(struct.unpack_from("<I", data, entry + 36)[0] for entry in entries)
        at += ENTRY * (1 + count * (2 if flags & VERIFIED else 1))
        if flags & DESCRIBED:
            found[digits(data[at : at + 32])] = (xet, size)
            at += ENTRY
    return found


class XetStore:
    """The folders handed out to uploaders."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folders: list[Path] = []
        self.hashes: dict[str, str] = {}

    def write_token(self) -> dict[str, Any]:
        """Leave to write into a fresh folder."""
        folder = Path(tempfile.mkdtemp(dir=self.store.folder, prefix="cas-"))
        self.folders.append(folder)
        return _token(folder)

    def read_token(self, commit: Commit) -> dict[str, Any]:
        """Leave to read a commit's files. What lies in many folders is put into one of its own:
        the same content has the same hash again.
        """
        import hf_xet

        copy = Path(tempfile.mkdtemp(dir=self.store.folder, prefix="read-"))
        with tempfile.TemporaryDirectory(dir=self.store.folder) as made:
            session = hf_xet.XetSession()
            with session.new_upload_commit(
                endpoint=f"local://{made}", token="xet", token_expiry_unix_secs=2**32
            ) as upload:
                for blob in commit.files.values():
                    if blob.xet:
                        path = str(self.store.path(blob.sha256))
                        upload.start_upload_file(path, sha256=blob.sha256)
            shutil.copytree(made, copy, dirs_exist_ok=True)
        return _token(copy)

    def take(self, sha256: str) -> str | None:
        """Make sure that an uploaded object is among the blobs; its xet hash if it came so."""
        if sha256 not in self.hashes and not self.store.path(sha256).is_file():
            for folder in self.folders:
                for shard in folder.glob("xet/xorbs/shards/*.mdb"):
                    found = files_of_shard(shard.read_bytes())
                    if sha256 in found:
                        self._extract(folder, sha256, *found[sha256])
                        return self.hashes[sha256]
        return self.hashes.get(sha256)

    def _extract(self, folder: Path, sha256: str, xet: str, size: int) -> None:
        import hf_xet

        with tempfile.TemporaryDirectory(dir=self.store.folder) as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            session = hf_xet.XetSession()
            out = Path(copy) / "out"
            with session.new_file_download_group(
                endpoint=f"local://{copy}", token="xet", token_expiry_unix_secs=2**32
            ) as group:
                group.start_download_file(hf_xet.XetFileInfo(xet, size), str(out))
            data = out.read_bytes()
        if self.store.put(data) != sha256:
            raise HubError(400, "BadRequest", f"{xet} is not the content of {sha256}")
        self.hashes[sha256] = xet


def _token(folder: Path) -> dict[str, Any]:
    expires = int(time.time()) + 3600
    return {"casUrl": f"local://{folder}", "accessToken": "xet", "exp": expires}


def lfs_routes(store: Store, find: Any) -> APIRouter:
    """The LFS batch API with basic and multipart uploads, and the storage behind it."""
    routes = APIRouter()
    parts: dict[tuple[str, int], bytes] = {}

    @routes.post("/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo: Repo = find(request, owner, name, write=True)
        root = str(request.base_url).rstrip("/")
        objects = []
        for item in (await request.json())["objects"]:
            sha256, size = item["oid"], item["size"]
            answer: dict[str, Any] = {"oid": sha256, "size": size}
            if not store.path(sha256).is_file():
                upload: dict[str, Any] = {"href": f"{root}/storage/{sha256}"}
                if size > PART_BYTES:
                    count = -(-size // PART_BYTES)
                    upload["href"] = f"{root}/storage/{sha256}/complete"
                    upload["header"] = {"chunk_size": str(PART_BYTES)} | {
                        f"{n:05}": f"{root}/storage/{sha256}/{n}" for n in range(1, count + 1)
                    }
                verify = {"href": f"{root}/{repo.id}.git/info/lfs/objects/verify"}
                answer["actions"] = {"upload": upload, "verify": verify}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    @routes.post("/{owner}/{name}.git/info/lfs/objects/verify")
    async def verify(request: Request) -> dict[str, Any]:
        item = await request.json()
        path = store.path(item["oid"])
        if not path.is_file() or path.stat().st_size != item["size"]:
            raise HubError(404, "EntryNotFound", "the object did not arrive")
        return {}

    @routes.put("/storage/{sha256}")
    async def whole(sha256: str, request: Request) -> Response:
        return _keep(sha256, await request.body())

    @routes.put("/storage/{sha256}/{number}")
    async def part(sha256: str, number: int, request: Request) -> Response:
        parts[sha256, number] = data = await request.body()
        return Response(headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})

    @routes.post("/storage/{sha256}/complete")
    async def complete(sha256: str, request: Request) -> Response:
        listed = sorted(part["partNumber"] for part in (await request.json())["parts"])
        return _keep(sha256, b"".join(parts.pop((sha256, number)) for number in listed))

    def _keep(sha256: str, data: bytes) -> Response:
        if hashlib.sha256(data).hexdigest() != sha256:
            raise HubError(400, "BadRequest", "the content is not what was announced")
        store.put(data)
        return Response()

    return routes
