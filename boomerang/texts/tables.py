"""Tables of documents or conversations. Loaded where there is one: pyarrow takes its time."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as arrow
from pyarrow import parquet

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation, DataKind, Document, holding

_ROWS = 512
"""Rows of a table that are read together."""


def table_kind(name: str, data: IO[bytes], column: str) -> DataKind:
    """What a table holds, by its columns. Raises BadRecipe, OSError."""
    return "text" if _columns(name, _opened(data).schema_arrow, column)[1] else "instructions"


def table_documents(
    name: str, data: IO[bytes], column: str, kind: DataKind | None
) -> Iterator[Document]:
    """The documents of a table; a row without one is left out, and all of another `kind`.

    Raises BadRecipe, naming the column, where there is none to read; OSError.
    """
    table = _opened(data)
    columns, plain = _columns(name, table.schema_arrow, column)
    if kind not in (None, "text" if plain else "instructions"):
        return
    number = 0
    for batch in table.iter_batches(batch_size=_ROWS, columns=[*columns]):
        if plain:
            yield from (text for text in batch.column(0).to_pylist() if text is not None)
            continue
        for row in batch.to_pylist():
            number += 1
            if all(row[one] is not None for one in columns):
                yield Conversation.of(row, column, f"Row {number} of {name}")


def _opened(data: IO[bytes]) -> Any:
    try:
        return parquet.ParquetFile(data)
    except arrow.ArrowException as error:
        raise OSError(str(error)) from None


def _columns(table: str, schema: Any, column: str) -> tuple[tuple[str, ...], bool]:
    """The columns of a table that hold its documents, and whether they are plain text."""

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
        f"{table} has no column of text {column!r}, and none of conversations.",
        value=column,
        fix=f"Name one of {', '.join(texts)}." if texts else "It has no column of text.",
    )
