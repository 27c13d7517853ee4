"""The xet lane: tokens, and a CAS server as hf_xet asks one, which keeps what ever arrived.

What a client had sent before it knows from its own cache of shards, below HF_XET_CACHE and apart
for each address of a server. Nothing is found in what others sent: `/v1/chunks` knows none.
API: https://huggingface.co/docs/xet/api
"""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse

from tests.local_hub.repos import HubError, Repo
from tests.local_hub.routes.reading import MODEL, Find
from tests.local_hub.routes.xorbs import File, chunks, offsets, shard
from tests.local_hub.store import Store


class XetStore:
    """Xorbs and shards as they came, and what the shards say."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.folder / "xet"
        (self.folder / "xorbs").mkdir(parents=True, exist_ok=True)
        (self.folder / "shards").mkdir(exist_ok=True)
        # The client remembers by address what it sent, and another Hub may have had this port.
        name = self.folder / "place"
        if not name.exists():
            name.write_text(uuid.uuid4().hex)
        self.place = name.read_text()
        self.files: dict[str, File] = {}
        self.chunks: dict[str, tuple[tuple[bytes, int], ...]] = {}
        self.known: set[bytes] = set()
        self._offsets: dict[str, list[int]] = {}
        for path in sorted((self.folder / "shards").iterdir()):
            self._learn(path.read_bytes())
        for repo in store.repos.values():
            for blob in repo.blobs():
                self.committed(blob.sha256)

    def xorb(self, hash: str) -> Path:
        if not hash.isalnum():
            raise HubError(400, "", "not a hash")
        return self.folder / "xorbs" / hash

    def offsets(self, hash: str) -> list[int]:
        if hash not in self._offsets:
            self._offsets[hash] = offsets(self.xorb(hash))
        return self._offsets[hash]

    def add(self, data: bytes) -> tuple[str, tuple[File, ...], int]:
        """Keep a shard: its name, its files, how many bytes of its xorbs a commit had before."""
        made = shard(data)
        needed = {term.xorb for file in made.files for term in file.terms} | set(made.xorbs)
        for hash in needed:
            if not self.xorb(hash).is_file():
                raise HubError(400, "", f"the shard needs a xorb that is not here: {hash}")
        again = sum(
            size for xorb in made.xorbs.keys() - self.chunks.keys()
            for hash, size in made.xorbs[xorb] if hash in self.known
        )  # fmt: skip
        name = f"{time.time_ns():020}"
        arrived = self.store.arriving()
        arrived.write_bytes(data)
        os.replace(arrived, self.folder / "shards" / name)
        self._learn(data)
        return name, made.files, again

    def _learn(self, data: bytes) -> None:
        made = shard(data)
        self.chunks |= made.xorbs
        self.files |= {file.sha256: file for file in made.files}

    def take(self, sha256: str) -> None:
        """Put an object that came by xet among the blobs."""
        if sha256 in self.files and not self.store.path(sha256).is_file():
            self.store.keep(self._content(self.files[sha256]), sha256)

    def _content(self, file: File) -> Iterator[bytes]:
        for term in file.terms:
            at = self.offsets(term.xorb)
            yield from chunks(self.xorb(term.xorb), at, term.start, term.end)

    def committed(self, sha256: str) -> str | None:
        """Remember that a commit holds an object; its xet hash if it came so."""
        file = self.files.get(sha256)
        if file is None:
            return None
        for term in file.terms:
            self.known.update(hash for hash, _ in self.chunks[term.xorb][term.start : term.end])
        return file.hash

    def reconstruction(self, hash: str, start: int, end: int, root: str) -> dict[str, Any]:
        """Which chunks hold some bytes of a file, and where they are to be fetched."""
        file = next((file for file in self.files.values() if file.hash == hash), None)
        if file is None:
            raise HubError(404, "", "no such file")
        terms, ranges, at, first = [], {}, 0, None
        for term in file.terms:
            if at < end and start < at + term.size:
                first = at if first is None else first
                which = {"start": term.start, "end": term.end}
                terms.append({"hash": term.xorb, "unpacked_length": term.size, "range": which})
                ranges.setdefault(term.xorb, []).append((term.start, term.end))
            at += term.size
        fetch = {
            xorb: [
                {
                    "range": {"start": low, "end": high},
                    "url": f"{root}/xet/data/{xorb}",
                    "url_range": {
                        "start": self.offsets(xorb)[low],
                        "end": self.offsets(xorb)[high] - 1,
                    },
                }
                for low, high in _merged(wanted)
            ]
            for xorb, wanted in ranges.items()
        }
        if first is None and file.size:
            raise HubError(416, "", "beyond the end of the file")
        skip = max(start - (first or 0), 0)
        return {"offset_into_first_range": skip, "terms": terms, "fetch_info": fetch}


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same without overlaps: the client fetches each range once."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def xet_routes(store: Store, xet: XetStore, find: Find) -> APIRouter:
    routes = APIRouter()

    @routes.get(MODEL + "/xet-{kind}-token/{revision}")
    def token(owner: str, name: str, kind: str, revision: str, request: Request) -> Response:
        repo = find(request, owner, name, write=kind == "write")
        repo.at(unquote(revision))
        made = {
            "casUrl": f"{str(request.base_url).rstrip('/')}/xet/{xet.place}",
            "accessToken": f"xet:{kind}:{repo.id}",
            "exp": int(time.time()) + 3600,
        }
        headers = {
            "X-Xet-Cas-Url": made["casUrl"],
            "X-Xet-Access-Token": made["accessToken"],
            "X-Xet-Token-Expiration": str(made["exp"]),
        }
        return JSONResponse(made, headers=headers)

    def allowed(request: Request, write: bool = False) -> Repo:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        kind, _, id = bearer.removeprefix("xet:").partition(":")
        if id not in store.repos or (write and kind != "write"):
            raise HubError(401, "", "this token does not reach here")
        return store.repos[id]

    @routes.post("/xet/{place}/v1/xorbs/default/{hash}")
    async def xorb(hash: str, request: Request) -> dict[str, Any]:
        repo = allowed(request, write=True)
        arrived, size, new = store.arriving(), 0, not xet.xorb(hash).is_file()
        try:
            with open(arrived, "wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    file.write(chunk)
        finally:
            store.traffic.add(repo.id, "xet", hash, size)
        os.replace(arrived, xet.xorb(hash))
        return {"was_inserted": new}

    @routes.post("/xet/{place}/v1/shards")
    async def shards(request: Request) -> dict[str, Any]:
        repo, data = allowed(request, write=True), await request.body()
        name, files, again = await run_in_threadpool(xet.add, data)
        store.traffic.add(repo.id, "shard", name, len(data), again)
        repo.objects.update(file.sha256 for file in files)
        store.save(repo)
        return {"result": 1}

    @routes.post("/xet/{place}/v1/telemetry")
    def telemetry() -> dict[str, Any]:
        return {}

    @routes.get("/xet/{place}/v1/reconstructions/{hash}")
    def reconstruction(hash: str, request: Request) -> dict[str, Any]:
        allowed(request)
        wanted = request.headers.get("range", "bytes=0-").removeprefix("bytes=")
        start, _, end = wanted.partition("-")
        last = int(end) + 1 if end else 1 << 62
        return xet.reconstruction(hash, int(start), last, str(request.base_url).rstrip("/"))

    @routes.get("/xet/data/{hash}")
    def data(hash: str) -> Response:
        return FileResponse(xet.xorb(hash))

    return routes
