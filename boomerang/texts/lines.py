"""Lines of text: a document or a conversation on each, or passages of one text."""

import json
from collections.abc import Iterator
from typing import IO, Any

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation, DataKind, Document, holds

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
