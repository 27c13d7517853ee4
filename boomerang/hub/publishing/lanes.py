"""How large files travel: as streams of byte ranges, by xet or, without it, by LFS.

Neither writes a copy of a model to a disk. What xet does keep, below HF_XET_CACHE, are the names
of the chunks that this machine has sent, by which it sends them no more.
"""

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from boomerang.assembly.bytefile import ByteFile
from boomerang.hub import library
from boomerang.hub.client import hub_headers, patiently, session
from boomerang.hub.publishing.changes import Digests
from boomerang.hub.publishing.reader import Reader

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi

Told = Callable[[int], object]
"""Called with the bytes of a file that went so far. What it raises ends the upload."""
SAMPLE = 512
"""The first bytes, by which the Hub sees what a file is."""
LARGE_BLOCK = 1 << 20
AHEAD = 16 << 20
"""Bytes that may wait to be sent when more is read."""
PAUSE = 0.02
"""Seconds until one looks again whether they were."""


_pause = threading.Event()


class Lane(Protocol):
    """A way for large files to the Hub; what it sends is there, but in no commit yet."""

    def send(self, name: str, content: ByteFile, told: Told) -> "CommitOperationAdd":
        """Send one file; what stands for it in a commit. Raises what `hub_errors` translates."""


def lane(client: "HfApi", repo_id: str, digests: Digests) -> Lane:
    """The way that this client takes: xet, unless it is not there or switched off."""
    kind = Xet if library.runtime.is_xet_available() else Lfs
    return kind(client, repo_id, digests)


def addition(name: str, content: ByteFile, sha256: str = "0" * 64) -> "CommitOperationAdd":
    """A file of a commit, of which no more than a sample is read."""
    made = library.huggingface_hub.CommitOperationAdd(name, b"")
    sample = content.read(0, min(SAMPLE, content.size))
    made.upload_info = library.lfs.UploadInfo(content.size, sample, bytes.fromhex(sha256))
    return made


class Lfs:
    """One request, or one for each part: read twice, as the digest comes before the bytes."""

    def __init__(self, client: "HfApi", repo_id: str, digests: Digests) -> None:
        self._client, self._repo_id, self._digests = client, repo_id, digests

    def send(self, name: str, content: ByteFile, told: Told) -> "CommitOperationAdd":
        """Send what the storage does not have; it is told the digest first."""
        made = addition(name, content, self._digests.of(name))
        made.path_or_fileobj = Reader(content, told)  # type: ignore[assignment]
        made._upload_mode = "lfs"
        made._should_ignore = False
        try:
            self._client.preupload_lfs_files(self._repo_id, [made], free_memory=True)
        except RuntimeError as error:
            # The client's own words for whatever went wrong while it read or sent.
            if error.__cause__ is not None:
                raise error.__cause__ from error
            raise
        told(content.size)
        return made


class Xet:
    """A stream of chunks; those that were sent before are told, not sent.

    One file at a time in a process, which keeps memory to that of one: xet holds what it sends in
    pieces of 64 MB, some of each in several copies.
    """

    _turn = threading.Lock()

    def __init__(self, client: "HfApi", repo_id: str, digests: Digests) -> None:
        self._client, self._repo_id, self._digests = client, repo_id, digests

    def send(self, name: str, content: ByteFile, told: Told) -> "CommitOperationAdd":
        """Send a file, and find its digest on the way."""
        while not self._turn.acquire(timeout=1.0):
            told(0)
        try:
            sha256 = self._stream(name, content, told)
        finally:
            self._turn.release()
        self._digests.put(name, sha256)
        made = addition(name, content, sha256)
        made._upload_mode = "lfs"
        made._should_ignore = False
        made._is_uploaded = True
        return made

    def _stream(self, name: str, content: ByteFile, told: Told) -> str:
        route = f"{self._client.endpoint}/api/models/{self._repo_id}/xet-write-token/main"
        ours = hub_headers(self._client.token)
        plain = {key: one for key, one in ours.items() if key.lower() != "authorization"}
        # Asked here, so that a refusal is known as one; later ones xet asks for by itself.
        leave = patiently(lambda: _leave(route, ours))
        opened = _session().new_upload_commit(
            **leave, token_refresh_url=route, token_refresh_headers=ours, custom_headers=plain
        )
        done = 0
        with opened as commit:
            stream = commit.start_upload_stream(name=name)
            for chunk in content.chunks():
                stream.write(bytes(chunk))
                done += len(chunk)
                told(done)
                # Of a slow connection xet itself would have two pieces more wait.
                while _waiting(commit) > AHEAD:
                    _pause.wait(PAUSE)
                    told(done)
            sent = stream.finish()
        return str(sent.xet_info.sha256)


def _waiting(commit: Any) -> int:
    """Bytes that xet has ready and has not sent; it counts as sent what it gave up."""
    progress = commit.progress()
    return int(progress.total_transfer_bytes - progress.total_transfer_bytes_completed)


def _leave(route: str, ours: dict[str, str]) -> dict[str, Any]:
    answer = session().get(route, headers=ours)
    library.http.hf_raise_for_status(answer)
    found = answer.json()
    try:
        return {
            "endpoint": str(found["casUrl"]),
            "token": str(found["accessToken"]),
            "token_expiry_unix_secs": int(found["exp"]),
        }
    except (KeyError, TypeError) as error:
        raise ValueError("no token for xet") from error


@cache
def _session() -> Any:
    if sys.platform == "linux":
        # Memory of this size is given back when it is free: else as much as three of xet's pieces
        # stays with the allocator, and the next ones find no place in it.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(-3, LARGE_BLOCK)
    config = library.hf_xet.XetConfig().with_config(
        {"client.ac_initial_upload_concurrency": 1, "client.ac_max_upload_concurrency": 1}
    )
    return library.hf_xet.XetSession(config)
