"""Datasets on the Hub: pinned to a commit, listed once, read by range as they are needed.

Nothing is stored: a table's footer and row groups, or the beginning of a file of lines, is all
that is read of it.
"""

import io
import os
import re
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, unquote

from boomerang.errors import BadRecipe, HubFailure, TeacherNotFound
from boomerang.hub.client import api, hub_errors, patiently
from boomerang.hub.hurry import silence
from boomerang.hub.source import HubSource

SCHEME = "hf://datasets/"
"""How the location of a dataset begins: that of huggingface_hub's own file system."""

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_BUFFER = 1 << 20
"""Bytes that are asked for at once, at least."""


@dataclass(frozen=True)
class Dataset:
    """A dataset as it is named: its id, a revision, and the column that holds the documents.

    Raises BadRecipe for what is no name of one.
    """

    id: str
    revision: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id) or ".." in self.id or "--" in self.id:
            raise BadRecipe(
                f"{self.id!r} is no name of a dataset.",
                value=self.id,
                fix="Write it as owner/name, as on the Hub.",
            )
        revision = self.revision
        if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
            raise BadRecipe(
                f"{revision!r} is no revision.", value=revision, fix="Name a branch or a commit."
            )

    @classmethod
    def parse(cls, location: str) -> "Dataset":
        """From `hf://datasets/owner/name@revision#column`. Raises BadRecipe."""
        named, _, column = location.removeprefix(SCHEME).partition("#")
        id_, _, revision = named.partition("@")
        return cls(id_, unquote(revision) or None, unquote(column) or None)

    @property
    def location(self) -> str:
        """The name that `parse` reads."""
        at = f"@{quote(self.revision, safe='')}" if self.revision else ""
        column = f"#{quote(self.column, safe='')}" if self.column else ""
        return f"{SCHEME}{self.id}{at}{column}"

    def resolve(self, endpoint: str | None = None) -> "tuple[Dataset, list[HubFile]]":
        """The dataset at the commit that its revision is now, and its files by path.

        Raises BadRecipe (no such dataset or revision), GatedTeacher, HubFailure.
        """
        endpoint = endpoint or os.environ.get("BOOMERANG_HUB_ENDPOINT") or None
        client = api(endpoint)
        try:
            with hub_errors(self.id, self.revision):
                info = patiently(
                    lambda: client.dataset_info(
                        self.id, revision=self.revision, files_metadata=True, timeout=silence()
                    )
                )
        except TeacherNotFound:
            at = f" at {self.revision!r}" if self.revision else ""
            raise BadRecipe(
                f"There is no dataset {self.id!r}{at} on the Hub, or this token may not see it.",
                value=self.id,
                fix="Check name and revision; for a private dataset set HF_TOKEN.",
            ) from None
        if not info.sha:
            raise HubFailure(f"The Hub names no commit for {self.id!r}.", value=self.id)
        files = [
            HubFile(HubSource(f"datasets/{self.id}", info.sha, s.rfilename, s.size, endpoint))
            for s in sorted(info.siblings or (), key=lambda s: s.rfilename)
            if s.size is not None
        ]
        return Dataset(self.id, info.sha, self.column), files


@dataclass(frozen=True)
class HubFile:
    """One file of a dataset at a pinned commit."""

    source: HubSource

    @property
    def path(self) -> str:
        """Its path in the dataset."""
        return self.source.path

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.path.rsplit("/", 1)[-1]

    def open(self) -> IO[bytes]:
        """The content, fetched as it is read."""
        return io.BufferedReader(_Ranges(self.source), _BUFFER)

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.source.size

    @property
    def sha256(self) -> str:
        """What stands for the content: where it is, which is pinned."""
        return f"{self.source.commit}/{self.path}"


class _Ranges(io.RawIOBase):
    def __init__(self, source: HubSource) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        start = min(self._at, self._source.size)
        data = self._source.read(start, min(start + len(buffer), self._source.size))
        buffer[: len(data)] = data
        self._at = start + len(data)
        return len(data)
