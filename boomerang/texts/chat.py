"""How a conversation reads by the teacher's chat template, and what the assistant says in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation

_PRIVATE = 0xE000
"""The first character of Unicode's private use area: no text has all of them."""


_DAY = datetime(2024, 7, 26)
"""What a template takes for today, as some do: a student must not depend on when it was made.

The day that the templates of Llama 3.1 and 3.2 name where they know none.
"""
_TODAY = "{{% macro strftime_now(format) %}}{{{{ format{} }}}}{{% endmacro %}}".format(
    "".join(f".replace('%{code}', '{_DAY.strftime('%' + code)}')" for code in "aAbBdmYyjHIMSp")
)
"""Put before a template, takes the place of the function that tells the date."""


@dataclass(frozen=True)
class Turn:
    """A turn of the assistant's: all that is before it, what it says, and the token that ends it.

    `end` is None where no special token follows the answer.
    """

    prompt: str
    answer: str
    end: int | None


class Chat:
    """The chat template of a tokenizer; `name` is the teacher's."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        try:
            template = tokenizer.get_chat_template()
        except ValueError:
            # None, or several of which none is the usual one: no matter for plain text.
            template = ""
        self._template = _TODAY + template if "strftime_now" in template else template
        added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
        self._special = {*tokenizer.all_special_ids}
        self._special |= {number for number, token in added.items() if token.special}

    @property
    def usable(self) -> bool:
        """Whether there is a template at all."""
        return bool(self._template)

    def render(self, conversation: Conversation) -> str:
        """A conversation as the teacher reads it.

        Raises BadRecipe, naming the record, where the tokenizer has no template, or its template
        refuses these messages.
        """
        return self._rendered(conversation.messages, conversation.where)

    def turn(self, conversation: Conversation) -> Turn | None:
        """The first turn of the assistant's that follows something, as the teacher is asked for it.

        None where there is none, or the template leaves it out. Raises BadRecipe as `render`.
        """
        messages, where = conversation.messages, conversation.where
        spoken = (at for at, m in enumerate(messages) if at and m["role"] == "assistant")
        at = next(spoken, None)
        if at is None:
            return None
        until = Conversation(messages[: at + 1], where)
        rendered = self.render(until)
        answers = self.answers(until, rendered)
        if not answers:
            return None
        behind = self._tokenizer(rendered[answers[-1][1] :], add_special_tokens=False)["input_ids"]
        # Between an answer and what ends it some templates put a space.
        end = next((token for token in behind[:2] if token in self._special), None)
        prompt = self._rendered(messages[:at], where, asking=True)
        return Turn(prompt, messages[at]["content"], end)

    def _rendered(
        self, messages: Sequence[Mapping[str, Any]], where: str, *, asking: bool = False
    ) -> str:
        if not self._template:
            raise BadRecipe(
                f"{where} is a conversation, and the tokenizer of {self._name!r} has no chat "
                "template.",
                value=self._name,
                fix="Put its chat_template.jinja beside the tokenizer, or give plain text.",
            )
        try:
            said: str = self._tokenizer.apply_chat_template(
                [*messages],
                tokenize=False,
                chat_template=self._template,
                add_generation_prompt=asking,
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise BadRecipe(
                f"{where} does not fit the chat template of {self._name!r}: {error}.",
                value=where,
                fix="Correct the messages' roles and their order.",
            ) from None
        return said

    def answers(self, conversation: Conversation, rendered: str) -> list[tuple[int, int]]:
        """Where in the rendered conversation the assistant's messages are: (start, stop) each.

        Templates seldom say, so each message is exchanged for one character that is nowhere else:
        what differs then is the message. One that a template leaves out is nowhere.
        """
        mark = next(c for c in map(chr, range(_PRIVATE, 0xF900)) if c not in rendered)
        found: list[tuple[int, int]] = []
        for at, message in enumerate(conversation.messages):
            if message["role"] != "assistant":
                continue
            messages = [*conversation.messages]
            messages[at] = {**message, "content": mark}
            other = self._rendered(messages, conversation.where)
            if mark in other:
                start = _alike(rendered, other)
                behind = _alike(reversed(rendered[start:]), reversed(other[start:]))
                found.append(_whole(message["content"], rendered, start, len(rendered) - behind))
        return found

    def counted(
        self, ids: Sequence[int], offsets: Sequence[tuple[int, int]],
        answers: Sequence[tuple[int, int]],
    ) -> list[bool]:  # fmt: skip
        """For each token whether the assistant said it.

        `offsets` are the characters (start, stop) that each token is of. The special token behind
        an answer ends the assistant's turn and is one of its own.
        """
        said = [any(a < stop and start < b for a, b in answers) for start, stop in offsets]
        ends = (at for at in range(1, len(ids)) if said[at - 1] and ids[at] in self._special)
        for at in [*ends]:
            said[at] = True
        return said


def _whole(message: str, rendered: str, start: int, stop: int) -> tuple[int, int]:
    """All of a message that differs from `start` to `stop`.

    It may begin before, where it begins with what the template puts before others, as <think>.
    """
    told = message.strip()
    at = rendered.rfind(told, 0, max(stop, start + len(told)))
    return (at, stop) if told and 0 <= at < start < stop <= at + len(told) else (start, stop)


def _alike(a: Iterable[str], b: Iterable[str]) -> int:
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
