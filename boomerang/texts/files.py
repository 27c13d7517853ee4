"""Files of text and of conversations, in every form and packing, record by record."""

import gzip
import hashlib
import io
import lzma
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import DataKind, Document
from boomerang.texts.lines import line_documents, line_records, passages_of

NAME = re.compile(r"\.((?P<kind>jsonl|txt)(\.(?P<packed>xz|gz))?|(?P<table>parquet))$")
"""How the name of a file that is read ends."""


class TextFile(Protocol):
    """A file of text, wherever it lies; `sha256` is that of its content, or stands for it."""

    @property
    def name(self) -> str:
        """Its name, without folders."""
        ...

    def open(self) -> IO[bytes]:
        """The content, from its beginning; a table is also read from its end."""
        ...

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    @property
    def sha256(self) -> str:
        """Hex digest."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.path.name

    def open(self) -> IO[bytes]:
        """The content."""
        return self.path.open("rb")

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.path.stat().st_size

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        with self.path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()


def read(
    file: TextFile, column: str, *, passages: bool, kind: DataKind | None = None
) -> Iterator[Document]:
    """The documents of a file, in order; nothing where it holds another `kind` than is wanted.

    A file is of one kind: a table by its columns, lines by the first of them. Raises BadRecipe,
    naming file and record, for what is not what the file's name and beginning say.
    """
    with _opened(file) as (data, found):
        if found["table"]:
            from boomerang.texts.tables import table_documents  # noqa: PLC0415 - pyarrow is slow

            yield from table_documents(file.name, data, column, kind)
            return
        with _unpacked(data, found["packed"]) as lines:
            if found["kind"] == "jsonl":
                yield from line_documents(file.name, lines, column, kind)
            elif kind == "instructions":
                return
            elif passages:
                yield from passages_of(lines)
            else:
                yield lines.read()


def kind_of(file: TextFile, column: str) -> DataKind:
    """What a file holds, by its columns or its first record. Raises BadRecipe as `read`."""
    with _opened(file) as (data, found):
        if found["table"]:
            from boomerang.texts.tables import table_kind  # noqa: PLC0415 - pyarrow is slow

            return table_kind(file.name, data, column)
        if found["kind"] == "txt":
            return "text"
        with _unpacked(data, found["packed"]) as lines:
            return next((kind for _, kind in line_records(file.name, lines, column)), "text")


@contextmanager
def _opened(file: TextFile) -> Iterator[tuple[IO[bytes], re.Match[str]]]:
    found = NAME.search(file.name)
    if found is None:
        raise BadRecipe(f"{file.name} is no kind of text.", value=file.name, fix="Rename it.")
    try:
        with file.open() as data:
            yield data, found
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise BadRecipe(
            f"{file.name} cannot be read as text: {error}.",
            value=file.name,
            fix="Text is UTF-8, plain or packed with xz or gzip, or a parquet table.",
        ) from None


def _unpacked(data: IO[bytes], packed: str | None) -> IO[str]:
    openers: dict[str | None, Any] = {None: lambda plain: plain, "xz": lzma.open, "gz": gzip.open}
    return io.TextIOWrapper(openers[packed](data), encoding="utf-8")
