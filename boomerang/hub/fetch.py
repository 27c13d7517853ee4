"""A model of the Hub in a folder: fetched once, verified, whole or not there."""

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from boomerang.assembly.writing import on_disk
from boomerang.errors import HubUnreachable
from boomerang.hub import library
from boomerang.hub.client import hub_errors, hub_token, patiently
from boomerang.hub.remote import Progress, Resolved, resolve


def fetch(
    repo_id: str, commit: str, folder: Path, *, progress: Progress | None = None,
    arrived: Callable[[], object] | None = None, hashed: Callable[[str, str], object] | None = None,
    endpoint: str | None = None,
) -> Path:  # fmt: skip
    """Download what travels at a commit into `folder`, which appears whole or not at all.

    `hashed` is called with each file's name and its sha256. An interrupted fetch is taken up where
    it stopped; `arrived` is called for each file that is whole now and was not before. Raises as
    `resolve`, and HubFailure where a file is not what the Hub listed.
    """
    if folder.is_dir():
        return folder
    resolved = resolve(repo_id, commit, endpoint=endpoint)
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    wanted = resolved.travelling
    done, total = 0, sum(wanted.values())
    for name, size in wanted.items():
        whole = part / ".cache" / "whole" / name
        # An empty one is of a process that was killed while it wrote it.
        digest = whole.read_text() if whole.exists() else ""
        if not digest:
            _download(resolved, name, part, partial(_told, progress, done, total))
            digest = _verify(resolved, name, part / name)
            on_disk(part / name)
            # So that nobody who goes on reads hundreds of gigabytes again before he gets further.
            whole.parent.mkdir(parents=True, exist_ok=True)
            whole.write_text(digest)
            if arrived is not None:
                arrived()
        if hashed is not None:
            hashed(name, digest)
        done += size
        _told(progress, done, total, 0)
    # What is kept beside the files (etags, locks, what was half there, what was whole).
    shutil.rmtree(part / ".cache", ignore_errors=True)
    on_disk(*(path for path in part.rglob("*") if path.is_dir()), part)
    os.rename(part, folder)
    on_disk(folder.parent)
    return folder


def _told(progress: Progress | None, before: int, total: int, now: int) -> None:
    if progress is not None:
        progress(min(before + now, total), total)


def _download(resolved: Resolved, name: str, folder: Path, told: Callable[[int], None]) -> None:
    class Bar:
        """The part of tqdm that the client uses."""

        def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
            self.n = initial or 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: int = 1) -> None:
            self.n += n
            told(self.n)

    with hub_errors(resolved.repo_id, name):
        patiently(
            lambda: library.huggingface_hub.hf_hub_download(
                resolved.repo_id,
                name,
                revision=resolved.commit,
                local_dir=folder,
                endpoint=resolved.endpoint,
                token=hub_token(),
                tqdm_class=Bar,
            )
        )


def _verify(resolved: Resolved, name: str, path: Path) -> str:
    """The sha256 of a file; one without the size or digest that the Hub listed is removed."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    wanted = resolved.sha256.get(name) or digest
    if path.stat().st_size != resolved.files[name] or digest != wanted:
        path.unlink()
        raise HubUnreachable(
            f"{name} of {resolved.repo_id!r} did not arrive as the Hub lists it.",
            value=name,
            fix="Fetch it again.",
        )
    return digest
