"""The model that a name, or a part of one, means: a folder here, or a repository of the Hub."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import SUPPORTED
from boomerang.architecture.wrappers import WHOLES
from boomerang.checkpoint.folders import Folders, content_commit, files_of, sha256_of
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import CorruptCheckpoint, TeacherNotFound
from boomerang.hub import library, remote
from boomerang.hub.about import About
from boomerang.hub.client import acting_token, hub_endpoint, hub_errors, hub_headers, session
from boomerang.hub.hurry import Hurry, silence
from boomerang.hub.remote import Resolved, resolve


@dataclass(frozen=True)
class Found:
    """A model that was named: its headers, and the folder or the commit on the Hub it lies at."""

    name: str
    checkpoint: Checkpoint
    folder: Path | None = None
    resolved: Resolved | None = None

    def commit(self, digest: Callable[[FileSource], str] = sha256_of) -> str:
        """The Hub's commit, or 40 hex digits over the content of a folder's files.

        `digest` gives the sha256 of one of `files`; taking them all is slow.
        """
        if self.resolved is not None:
            return self.resolved.commit
        return content_commit(self.checkpoint, digest)

    def files(self) -> Iterator[FileSource]:
        """The files that decide its commit: those of a folder."""
        return iter(()) if self.folder is None else files_of(self.checkpoint)

    @property
    def public_name(self) -> str:
        """What it is called where a path of this machine has no place."""
        return self.folder.name if self.folder else self.name

    @cached_property
    def about(self) -> About:
        """What its card and its licence say."""
        return self.resolved.about if self.resolved else About.of_files(self.checkpoint)

    @property
    def license(self) -> str | None:
        """The licence that its card names."""
        return self.about.license

    @property
    def gated(self) -> bool:
        """Whether the Hub asks for terms to be accepted."""
        return self.resolved is not None and self.resolved.gated

    @property
    def private(self) -> bool:
        """Whether the Hub shows it to its owners alone."""
        return self.resolved is not None and self.resolved.private


def find(
    name: str, revision: str | None = None, *, folders: Folders | None = None,
    endpoint: str | None = None, progress: remote.Progress | None = None,
) -> Found:  # fmt: skip
    """The model of a folder's path, or of a Hub repo id at a revision. Headers only.

    Without `folders` any folder of this machine may be named. `progress` counts the files of a
    repository that are read. Raises TeacherNotFound, NoSafetensors, CorruptCheckpoint,
    GatedTeacher, BadName, HubFailure.
    """
    try:
        folder, called = _folder(name, folders)
        if folder is not None:
            return Found(name, Checkpoint.open(folder, called), folder.resolve())
        resolved = resolve(name, revision, endpoint=endpoint)
        checkpoint = remote.checkpoint(resolved, name, progress=progress)
        return Found(name, checkpoint, resolved=resolved)
    except CorruptCheckpoint as error:
        # It names the file, and whoever asks may have named two models.
        detail = f"{name!r}: {error.detail}"
        raise CorruptCheckpoint(detail, value=error.value, fix=error.fix) from error


def _folder(name: str, folders: Folders | None) -> tuple[Path | None, str | None]:
    """The folder that a name means, if any, and what the model in it is called."""
    if folders is None:
        path = Path(name).expanduser()
        if path.exists() or name.startswith((".", "/", "~")):
            return path, None
        where = ""
    else:
        below = folders.path(name)
        # Path.is_dir would raise for a name that is too long for any folder.
        if below is not None and os.path.isdir(below):
            return below, name
        where = f" below {folders.called}"
    if name.count("/") > 1:
        raise TeacherNotFound(
            f"There is no folder {name!r}{where}.",
            value=name,
            fix="Name a folder there, or a Hub repo id such as Qwen/Qwen3-4B-Base.",
        )
    return None, None


SECONDS = 3.0
"""How long somebody who types is kept waiting for the Hub."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A model of the Hub; `parameters` where its headers were counted."""

    name: str
    parameters: int | None


def search(text: str, limit: int, endpoint: str | None = None) -> tuple[Hit, ...]:
    """Models with safetensors whose name has a text, the most downloaded first.

    Those of an architecture that cannot be taken apart are left out, where the Hub says it. It is
    asked once, and given `SECONDS`. Raises HubFailure, HubBusy, or NeedsHub where it may not be
    asked.
    """
    silence()
    with Hurry(SECONDS).within(SECONDS), hub_errors("models"):
        answer = session().get(
            f"{hub_endpoint(endpoint)}/api/models",
            params={
                "search": text, "filter": "safetensors", "sort": "downloads", "direction": "-1",
                # Some are left out afterwards.
                "limit": str(2 * limit), "expand": ["safetensors", "config"],
            },
            headers=hub_headers(acting_token()),
            timeout=silence(),
        )  # fmt: skip
        library.http.hf_raise_for_status(answer)
        found = answer.json()
    hits = [_hit(one) for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return tuple(hit for hit in hits if hit is not None)[:limit]


def _hit(said: dict[str, Any]) -> Hit | None:
    name, config = said.get("id"), said.get("config")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(name, str) or (kind is not None and kind not in {*SUPPORTED, *WHOLES}):
        return None
    counted = said.get("safetensors")
    total = counted.get("total") if isinstance(counted, dict) else None
    return Hit(name, total if type(total) is int else None)
