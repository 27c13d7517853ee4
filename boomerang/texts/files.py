"""Files of text and of conversations, in every form and packing, record by record."""

import gzip
import hashlib
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation, Document, Kind, holding, holds

NAME = re.compile(r"\.((?P<kind>jsonl|txt)(\.(?P<packed>xz|gz))?|(?P<table>parquet))$")
"""How the name of a file that is read ends."""
_PASSAGE = 2000
"""Characters, at least, of the passages that a single .txt file is cut into."""
_ROWS = 512
"""Rows of a table that are read together."""


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
    file: TextFile, column: str, *, passages: bool, kind: Kind | None = None
) -> Iterator[Document]:
    """The documents of a file, in order; nothing where it holds another `kind` than is wanted.

    A file is of one kind: a table by its columns, lines by the first of them. Raises BadRecipe,
    naming file and record, for what is not what the file's name and beginning say.
    """
    with _opened(file) as (data, found):
        if found["table"]:
            yield from _rows(file, data, column, kind)
            return
        with _unpacked(data, found["packed"]) as lines:
            if found["kind"] == "jsonl":
                yield from _json_lines(file, lines, column, kind)
            elif kind == "instructions":
                return
            elif passages:
                yield from _passages(lines)
            else:
                yield lines.read()


def kind_of(file: TextFile, column: str) -> Kind:
    """What a file holds, by its columns or its first record. Raises BadRecipe as `read`."""
    with _opened(file) as (data, found):
        if found["table"]:
            return (
                "text" if _columns(file, _table(data).schema_arrow, column)[1] else "instructions"
            )
        if found["kind"] == "txt":
            return "text"
        with _unpacked(data, found["packed"]) as lines:
            return next((kind for _, kind in _records(file, lines, column)), "text")


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
    openers: dict[str | None, Callable[[IO[bytes]], Any]] = {"xz": lzma.open, "gz": gzip.open}
    return io.TextIOWrapper(openers.get(packed, _plain)(data), encoding="utf-8")


def _plain(data: IO[bytes]) -> IO[bytes]:
    return data


def _table(data: IO[bytes]) -> Any:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(data)
    except arrow.ArrowException as error:
        raise OSError(str(error)) from None


def _columns(file: TextFile, schema: Any, column: str) -> tuple[tuple[str, ...], bool]:
    """The columns of a table that hold its documents, and whether they are plain text."""
    import pyarrow as arrow

    def textual(name: str) -> bool:
        kind: Any = schema.field(name).type
        return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))

    names = [name for name in schema.names if schema.get_field_index(name) >= 0]
    found = holding(names, column)
    if found == (column,) and textual(column):
        return found, True
    if found and (found != (column,) or arrow.types.is_nested(schema.field(column).type)):
        return found, False
    texts = [name for name in names if textual(name)]
    raise BadRecipe(
        f"{file.name} has no column of text {column!r}, and none of conversations.",
        value=column,
        fix=f"Name one of {', '.join(texts)}." if texts else "It has no column of text.",
    )


def _rows(file: TextFile, data: IO[bytes], column: str, kind: Kind | None) -> Iterator[Document]:
    """The documents of a table; a row without one is left out."""
    table = _table(data)
    columns, plain = _columns(file, table.schema_arrow, column)
    if kind not in (None, "text" if plain else "instructions"):
        return
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS, columns=[*columns]):
        if plain:
            yield from (text for text in batch.column(0).to_pylist() if text is not None)
            continue
        for row in batch.to_pylist():
            number += 1
            if all(row[name] is not None for name in columns):
                yield Conversation.of(row, column, f"Row {number} of {file.name}")


def _json_lines(
    file: TextFile, lines: IO[str], column: str, kind: Kind | None
) -> Iterator[Document]:
    first: Kind | None = None
    for (number, record), found in _records(file, lines, column):
        first = first or found
        if kind not in (None, first):
            return
        if found != first:
            raise BadRecipe(
                f"Line {number} of {file.name} holds {found}, and the lines before it {first}.",
                value=number,
                fix="Keep plain text and conversations in files of their own.",
            )
        if found == "text":
            yield record[column]
        else:
            yield Conversation.of(record, column, f"Line {number} of {file.name}")


def _records(
    file: TextFile, lines: IO[str], column: str
) -> Iterator[tuple[tuple[int, dict[str, Any]], Kind]]:
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
                f'Line {number} of {file.name} is not {{"{column}": "…"}}, nor a conversation.',
                value=line[:80],
                fix="Each line of a .jsonl file is an object with the document as text, or with "
                "messages, or with prompt and completion.",
            )
        yield (number, record), kind


def _passages(lines: IO[str]) -> Iterator[str]:
    passage: list[str] = []
    length = 0
    for line in lines:
        passage.append(line)
        length += len(line)
        if length >= _PASSAGE and not line.strip():
            yield "".join(passage).strip()
            passage, length = [], 0
    yield "".join(passage).strip()
