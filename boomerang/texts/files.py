"""Files of text and of conversations, in every form and packing, record by record."""

import gzip
import hashlib
import io
import json
import lzma
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation, DataKind, Document, holds
from boomerang.texts.datasets import HubFile

NAME = re.compile(r"\.((?P<kind>jsonl|txt)(\.(?P<packed>xz|gz))?|(?P<table>parquet))$")
"""How the name of a file that is read ends."""


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


TextFile = LocalFile | HubFile
"""A file of text, wherever it lies; `sha256` is that of its content, or stands for it."""


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


_PASSAGE = 2000
"""Characters, at least, of the passages that a single .txt file is cut into."""


def line_documents(
    name: str, lines: IO[str], column: str, kind: DataKind | None
) -> Iterator[Document]:
    """The documents of a file of JSON lines; nothing where it holds another `kind` than is wanted.

    Raises BadRecipe for a line that holds none, or another kind than those before it.
    """
    first: DataKind | None = None
    for (number, record), found in line_records(name, lines, column):
        first = first or found
        if kind not in (None, first):
            return
        if found != first:
            raise BadRecipe(
                f"Line {number} of {name} holds {found}, and the lines before it {first}.",
                value=number,
                fix="Keep plain text and conversations in files of their own.",
            )
        if found == "text":
            yield record[column]
        else:
            yield Conversation.of(record, column, f"Line {number} of {name}")


def line_records(
    name: str, lines: IO[str], column: str
) -> Iterator[tuple[tuple[int, dict[str, Any]], DataKind]]:
    """The records of a file of lines with their numbers, and what each holds."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        kind = holds(record, column)
        if kind is None:
            raise BadRecipe(
                f'Line {number} of {name} is not {{"{column}": "…"}}, nor a conversation.',
                value=line[:80],
                fix="Each line of a .jsonl file is an object with the document as text, or with "
                "messages, or with prompt and completion.",
            )
        yield (number, record), kind


def passages_of(lines: IO[str]) -> Iterator[str]:
    """Pieces of a text that end at empty lines."""
    passage: list[str] = []
    length = 0
    for line in lines:
        passage.append(line)
        length += len(line)
        if length >= _PASSAGE and not line.strip():
            yield "".join(passage).strip()
            passage, length = [], 0
    yield "".join(passage).strip()
