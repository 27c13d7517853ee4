"""Conversations as training data: which records hold one, and what is wrong with those that do not.

No torch and no tokenizer here: how a conversation reads is the teacher's own affair (`chat.py`).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from boomerang.errors import BadRecipe

DataKind = Literal["text", "instructions"]
"""What a file holds: plain text, or conversations."""
DATA_KINDS: tuple[DataKind, ...] = ("text", "instructions")

TEXT = "text"
"""The column of plain text where none is named."""
MESSAGES = "messages"
PAIR = ("prompt", "completion")
"""The columns of a conversation: all messages, or what was asked and what was answered."""

_FIX = (
    'A conversation is {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", '
    '"content": "…"}]} or {"prompt": "…", "completion": "…"}.'
)


@dataclass(frozen=True)
class Conversation:
    """Messages with `role` and `content`, in order; `where` is the record that they are from."""

    messages: tuple[Mapping[str, Any], ...]
    where: str

    @classmethod
    def of(cls, record: Mapping[str, Any], column: str, where: str) -> "Conversation":
        """From a record that `holds` said has one. Raises BadRecipe, naming the record."""
        name = column if record.get(column) is not None else MESSAGES
        if record.get(name) is not None:
            messages = [*_messages(record[name], "user", name, where)]
        else:
            roles = zip(PAIR, ("user", "assistant"), strict=True)
            messages = [
                m for part, role in roles for m in _messages(record[part], role, part, where)
            ]
        if not any(message["role"] == "assistant" for message in messages):
            raise _wrong(where, "no message in it is the assistant's", messages[0]["role"])
        return cls(tuple(messages), where)


Document = str | Conversation


def holding(columns: Collection[str], column: str) -> tuple[str, ...]:
    """The columns of a conversation among those of a record; none where it holds none.

    `column` is the one that was named; conversations are looked for by themselves only where
    that is the one of plain text.
    """
    if column in columns:
        return (column,)
    if column == TEXT and MESSAGES in columns:
        return (MESSAGES,)
    return PAIR if column == TEXT and set(PAIR) <= set(columns) else ()


def holds(record: object, column: str) -> DataKind | None:
    """What a record holds: text in `column`, a conversation, or nothing of the kind."""
    if not isinstance(record, Mapping):
        return None
    given = {name for name, value in record.items() if value is not None}
    if isinstance(record.get(column), str):
        return "text"
    found = holding(given, column)
    if found == (column,) and not isinstance(record[column], list):
        return None
    return "instructions" if found else None


def _messages(value: object, role: str, name: str, where: str) -> Iterator[Mapping[str, Any]]:
    """The messages of one column: a text alone is one message of `role`."""
    if isinstance(value, str) and name in PAIR:
        yield {"role": role, "content": value}
        return
    if not isinstance(value, list) or not value:
        raise _wrong(where, f"{name!r} is no list of messages", value)
    for number, message in enumerate(value, 1):
        if not isinstance(message, Mapping):
            raise _wrong(where, f"message {number} of {name!r} is no object", message)
        for field in ("role", "content"):
            if not isinstance(message.get(field), str):
                raise _wrong(where, f"message {number} of {name!r} has no {field}", message)
        # A table has every field in every row; a template takes one that is null as given.
        yield {key: part for key, part in message.items() if part is not None}


def _wrong(where: str, why: str, value: object) -> BadRecipe:
    return BadRecipe(f"{where} is no conversation: {why}.", value=str(value)[:80], fix=_FIX)
