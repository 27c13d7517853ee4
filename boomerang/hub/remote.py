"""A model of the Hub at one commit, and reading it by range without fetching it."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from boomerang.checkpoint.files import CONFIG, INDEX, SINGLE, WEIGHTS, travels
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import CorruptCheckpoint, FileNotInModel
from boomerang.hub.source import HubSource

SMALL_BYTES = 64 << 20
"""The largest file that is read into memory at once (tokenizers reach about half)."""
AT_ONCE = 8
"""Headers that are read at the same time."""

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
        if SINGLE in found:
            shards = [n for n in found if re.fullmatch(WEIGHTS, n) and n != SINGLE]
            for name in [*shards, INDEX]:
                found.pop(name, None)
        return found


def sources(resolved: Resolved) -> dict[str, HubSource]:
    """Every file that travels, to be read by range: what `Checkpoint.read` takes."""
    return {name: source_of(resolved, name, size) for name, size in resolved.travelling.items()}


def source_of(resolved: Resolved, name: str, size: int) -> HubSource:
    """One file of a model at its commit, to be read by range."""
    sha256 = resolved.sha256.get(name)
    return HubSource(resolved.repo_id, resolved.commit, name, size, resolved.endpoint, sha256)


def checkpoint(
    resolved: Resolved, name: str | None = None, *, progress: Progress | None = None
) -> Checkpoint:
    """A model's config and headers, of all shards at once; `progress` counts files.

    Raises as `Checkpoint.read` and `HubSource.stream`.
    """
    files = sources(resolved)
    first = [
        source for file, source in files.items()
        if file in (CONFIG, INDEX) or re.fullmatch(WEIGHTS, file)
    ]  # fmt: skip
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        # Each thread is in the same hurry as whoever waits for all of them.
        reads = [partial(copy_context().run, source.keep_head) for source in first]
        for done, _ in enumerate(pool.map(lambda read: read(), reads), 1):
            if progress is not None:
                progress(done, len(first))
        return Checkpoint.read(name or resolved.repo_id, files, resolved.commit)
    finally:
        pool.shutdown(cancel_futures=True)
        for source in first:
            source.drop_head()


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
    return source_of(resolved, name, size).read(0, size)


def read_config(resolved: Resolved) -> dict[str, Any]:
    """The model's config.json. Raises FileNotInModel, CorruptCheckpoint or HubFailure."""
    try:
        config = json.loads(small_file(resolved, CONFIG))
    except ValueError as error:
        config = error
    if not isinstance(config, dict):
        raise CorruptCheckpoint(
            f"config.json of {resolved.repo_id!r} is no JSON object.",
            value=resolved.repo_id,
            fix="Name another revision.",
        )
    return config


def first_bytes(resolved: Resolved) -> None:
    """Read one byte of a model. Raises GatedTeacher where that is not allowed."""
    name, source = next(iter(sources(resolved).items()))
    source.read(0, min(1, resolved.files[name]))
