"""Models of the Hub: resolve a name to a commit, read headers by range, fetch into a folder.

Everything is pinned: a name becomes a commit once, and all that follows is read at that commit.
Only known files travel; code, pickles and other formats are neither read nor fetched.
"""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from boomerang.checkpoint.files import (
    CHAT_TEMPLATE,
    CONFIG,
    INDEX,
    OTHER_WEIGHTS,
    SINGLE,
    WEIGHTS,
    travels,
)
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadName, HubFailure, NoSafetensors
from boomerang.hub.about import About
from boomerang.hub.client import api, bad_name, hub_endpoint, hub_errors, patiently
from boomerang.hub.hurry import silence
from boomerang.hub.source import HubSource

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

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
    about: About
    files: Mapping[str, int]
    sha256: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None

    @property
    def license(self) -> str | None:
        """The licence that its card names."""
        return self.about.license

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
    at = (resolved.repo_id, resolved.commit)
    return {
        name: HubSource(*at, name, size, resolved.endpoint, resolved.sha256.get(name))
        for name, size in resolved.travelling.items()
    }


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


_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPO_ID = re.compile(rf"({_NAME}/)?{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve(repo_id: str, revision: str | None = None, *, endpoint: str | None = None) -> Resolved:
    """Ask what a name is now.

    Raises BadName, TeacherNotFound (no such repository or revision), GatedTeacher, NoSafetensors
    or HubFailure.
    """
    _check_names(repo_id, revision)
    client = api(endpoint)

    def ask() -> Resolved:
        info = client.model_info(repo_id, revision=revision, files_metadata=True, timeout=silence())
        return _resolved(repo_id, info, hub_endpoint(endpoint))

    with hub_errors(repo_id, revision):
        found = patiently(lambda: _understood(ask))
    _check_weights(found)
    if found.gated:
        # The listing of a gated model is public: only reading a file tells who was let in.
        name, source = next(iter(sources(found).items()))
        source.read(0, min(1, found.files[name]))
    return found


def open_remote(
    repo_id: str, commit: str | None = None, *, endpoint: str | None = None
) -> Checkpoint:
    """A checkpoint on the Hub, headers only. Raises as `resolve` and `Checkpoint.read`."""
    return checkpoint(resolve(repo_id, commit, endpoint=endpoint))


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


def _understood(ask: Callable[[], Resolved]) -> Resolved:
    """What a Hub says. Raises ValueError for JSON that is another's: the client reads on in it."""
    try:
        return ask()
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(type(error).__name__) from error


def _resolved(repo_id: str, info: "ModelInfo", endpoint: str) -> Resolved:
    if not info.sha or not _COMMIT.fullmatch(info.sha):
        raise HubFailure(
            f"The Hub names no commit for {repo_id!r}.",
            value=repo_id,
            fix="Check that HF_ENDPOINT is a Hub.",
        )
    card: dict[str, Any] = dict(vars(info.card_data)) if info.card_data else {}
    listed = {s.rfilename: s for s in info.siblings or () if s.size is not None}
    tokenizer = (info.config or {}).get("tokenizer_config") or {}
    said = any(tokenizer.get(key) for key in ("chat_template", "chat_template_jinja"))
    chat = CHAT_TEMPLATE in listed or said
    return Resolved(
        repo_id=repo_id,
        commit=info.sha,
        private=bool(info.private),
        gated=bool(info.gated),
        about=About.of_card(card, chat=chat),
        files={name: int(s.size or 0) for name, s in sorted(listed.items())},
        sha256={name: s.lfs.sha256 for name, s in sorted(listed.items()) if s.lfs},
        endpoint=endpoint,
    )


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
