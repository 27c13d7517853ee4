"""Models of the Hub: resolve a name to a commit, read headers by range, fetch into a folder.

Everything is pinned: a name becomes a commit once, and all that follows is read at that commit.
Only known files travel; code, pickles and other formats are neither read nor fetched.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boomerang.errors import (
    BadName,
    CorruptCheckpoint,
    FileNotInModel,
    HubFailure,
    HubUnreachable,
    NoSafetensors,
)
from boomerang.hub_client import api, bad_name, hub_endpoint, hub_errors, patiently
from boomerang.hub_files import ALLOWED, INDEX, OTHER_WEIGHTS, WEIGHTS, travels
from boomerang.hub_hurry import silence
from boomerang.hub_publish import Published, publish
from boomerang.hub_source import HubSource
from boomerang.writing import on_disk

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

    from boomerang.checkpoint import Checkpoint

__all__ = [
    "ALLOWED", "HubSource", "Published", "Resolved", "checkpoint", "fetch", "open_remote",
    "publish", "read_config", "resolve", "small_file", "sources", "travels",
]  # fmt: skip

SMALL_BYTES = 64 << 20
"""The largest file that is read into memory at once (tokenizers reach about half)."""
AT_ONCE = 8
"""Headers that are read at the same time."""

_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPO_ID = re.compile(rf"({_NAME}/)?{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model at one commit. `files` are sizes in bytes, `sha256` the digests that are known."""

    repo_id: str
    commit: str
    private: bool
    gated: bool
    license: str | None
    files: Mapping[str, int]
    license_name: str | None = None
    license_link: str | None = None
    base_model: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None

    @property
    def travelling(self) -> dict[str, int]:
        """The files that travel; of two sets of weights, the one that transformers would load."""
        found = {name: size for name, size in self.files.items() if travels(name)}
        if "model.safetensors" in found:
            shards = [n for n in found if re.fullmatch(WEIGHTS, n) and n != "model.safetensors"]
            for name in [*shards, INDEX]:
                found.pop(name, None)
        return found


def resolve(repo_id: str, revision: str | None = None, *, endpoint: str | None = None) -> Resolved:
    """Ask what a name is now.

    Raises BadName, TeacherNotFound (no such repository or revision), GatedTeacher, NoSafetensors
    or HubFailure.
    """
    _check_names(repo_id, revision)
    client = api(endpoint)
    with hub_errors(repo_id, revision):
        info = patiently(
            lambda: client.model_info(
                repo_id, revision=revision, files_metadata=True, timeout=silence()
            )
        )
    found = _resolved(repo_id, info, hub_endpoint(endpoint))
    _check_weights(found)
    if found.gated:
        # The listing of a gated model is public: only reading a file tells who was let in.
        _first_bytes(found)
    return found


def sources(resolved: Resolved) -> dict[str, HubSource]:
    """Every file that travels, to be read by range: what `Checkpoint.read` takes."""
    return {name: _source(resolved, name, size) for name, size in resolved.travelling.items()}


def _source(resolved: Resolved, name: str, size: int) -> HubSource:
    sha256 = resolved.sha256.get(name)
    return HubSource(resolved.repo_id, resolved.commit, name, size, resolved.endpoint, sha256)


def checkpoint(
    resolved: Resolved, name: str | None = None, *, progress: Progress | None = None
) -> "Checkpoint":
    """A model's config and headers, of all shards at once; `progress` counts files.

    Raises as `Checkpoint.read` and `HubSource.stream`.
    """
    from boomerang.checkpoint import Checkpoint

    files = sources(resolved)
    first = [
        source for file, source in files.items()
        if file in ("config.json", INDEX) or re.fullmatch(WEIGHTS, file)
    ]  # fmt: skip
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        # Each thread is in the same hurry as whoever waits for all of them.
        reads = [partial(copy_context().run, source.keep_head) for source in first]
        for done, _ in enumerate(pool.map(lambda read: read(), reads), 1):
            if progress is not None:
                progress(done, len(first))
        return Checkpoint.read(name or resolved.repo_id, files)
    finally:
        pool.shutdown(cancel_futures=True)
        for source in first:
            source.drop_head()


def open_remote(
    repo_id: str, commit: str | None = None, *, endpoint: str | None = None
) -> "Checkpoint":
    """A checkpoint on the Hub, headers only. Raises as `resolve` and `Checkpoint.read`."""
    return checkpoint(resolve(repo_id, commit, endpoint=endpoint))


def small_file(resolved: Resolved, name: str) -> bytes:
    """A whole file of at most SMALL_BYTES.

    Raises FileNotInModel, CorruptCheckpoint (too large to be what it is called) or HubFailure.
    """
    size = resolved.files.get(name)
    if size is None or not travels(name):
        raise FileNotInModel(
            f"{resolved.repo_id!r} has no file {name!r} that travels.",
            value=name,
            fix="Config, tokenizer, templates, licence and safetensors do.",
        )
    if size > SMALL_BYTES:
        raise CorruptCheckpoint(
            f"{name} of {resolved.repo_id!r} has {size} bytes.",
            value=name,
            fix=f"It is read into memory, so it may have {SMALL_BYTES}.",
        )
    return _source(resolved, name, size).read(0, size)


def read_config(resolved: Resolved) -> dict[str, Any]:
    """The model's config.json. Raises FileNotInModel, CorruptCheckpoint or HubFailure."""
    try:
        config = json.loads(small_file(resolved, "config.json"))
    except ValueError as error:
        config = error
    if not isinstance(config, dict):
        raise CorruptCheckpoint(
            f"config.json of {resolved.repo_id!r} is no JSON object.",
            value=resolved.repo_id,
            fix="Name another revision.",
        )
    return config


def fetch(
    repo_id: str,
    commit: str,
    folder: Path,
    *,
    progress: Progress | None = None,
    arrived: Callable[[], object] | None = None,
    hashed: Callable[[str, str], object] | None = None,
    endpoint: str | None = None,
) -> Path:
    """Download what travels at a commit into `folder`, which appears whole or not at all.

    `hashed` is called with each file's name and its sha256. An interrupted fetch is taken up where
    it stopped; `arrived` is called for each file that is whole now and was not before. Raises as
    `resolve`, and HubFailure where a file is not what the Hub listed.
    """
    import shutil

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
    from huggingface_hub import hf_hub_download

    from boomerang.hub_client import hub_token

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
            lambda: hf_hub_download(
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


def _check_names(repo_id: str, revision: str | None) -> None:
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id or "--" in repo_id:
        raise bad_name(repo_id)
    if repo_id.endswith(".git"):
        raise bad_name(repo_id)
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise BadName(
            f"{revision!r} is no name of a revision.",
            value=revision,
            fix="Name a branch, a tag or a commit of 40 hex digits.",
        )


def _resolved(repo_id: str, info: "ModelInfo", endpoint: str) -> Resolved:
    if not info.sha or not _COMMIT.fullmatch(info.sha):
        raise HubFailure(
            f"The Hub names no commit for {repo_id!r}.",
            value=repo_id,
            fix="Check that HF_ENDPOINT is a Hub.",
        )
    card: dict[str, Any] = dict(vars(info.card_data)) if info.card_data else {}
    listed = {s.rfilename: s for s in info.siblings or () if s.size is not None}
    return Resolved(
        repo_id=repo_id,
        commit=info.sha,
        private=bool(info.private),
        gated=bool(info.gated),
        license=_text(card.get("license")),
        license_name=_text(card.get("license_name")),
        license_link=_text(card.get("license_link")),
        base_model=_texts(card.get("base_model")),
        language=_texts(card.get("language")),
        files={name: int(s.size or 0) for name, s in sorted(listed.items())},
        sha256={name: s.lfs.sha256 for name, s in sorted(listed.items()) if s.lfs},
        endpoint=endpoint,
    )


def _text(value: object) -> str | None:
    """The first of what a card gives as one name or as a list of them."""
    texts = _texts(value)
    return texts[0] if texts else None


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str) and item)


def _check_weights(resolved: Resolved) -> None:
    if any(re.fullmatch(WEIGHTS, name) for name in resolved.files):
        return
    other = [name for name in resolved.files if name.endswith(OTHER_WEIGHTS)]
    raise NoSafetensors(
        f"{resolved.repo_id!r} has no model.safetensors"
        + (f", only {other[0]}." if other else "."),
        value=resolved.repo_id,
        fix="Convert it first: load it and call save_pretrained, which writes safetensors.",
    )


def _first_bytes(resolved: Resolved) -> None:
    name, source = next(iter(sources(resolved).items()))
    source.read(0, min(1, resolved.files[name]))
