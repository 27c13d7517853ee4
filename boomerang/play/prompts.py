"""What a model is given to go on from: a text, or a conversation by the teacher's chat template."""

from typing import Any

from jinja2 import TemplateError

from boomerang.errors import BadRequest
from boomerang.play.job import Ask
from boomerang.tokens.packing import Tokeniser


class Prompts:
    """The teacher's tokenizer, as requests are read with it.

    `ends` are tokens that end a turn of a conversation, or a text.
    """

    def __init__(self, tokeniser: Tokeniser) -> None:
        self.tokenizer: Any = tokeniser.tokenizer
        self._name, self._first = tokeniser.folder.name, tokeniser.first
        self.chat = tokeniser.chat.usable
        self.end = tokeniser.end

    def tokens(self, ask: Ask, most: int) -> list[int]:
        """The tokens of a request's prompt, one at least.

        Raises BadRequest where there are more than `most`, where the teacher has no chat template
        for a conversation, or its template refuses it.
        """
        if ask.messages is None:
            ids = list(self.tokenizer(ask.prompt)["input_ids"]) or [self._first]
        else:
            said = self._rendered([message.model_dump() for message in ask.messages])
            ids = list(self.tokenizer(said, add_special_tokens=False)["input_ids"])
        if len(ids) > most:
            raise BadRequest(
                f"The prompt has {len(ids):,} tokens, and there is room for {most:,}.",
                value=len(ids),
                fix="Shorten it, or begin a new conversation.",
            )
        return ids

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        if not self.chat:
            raise BadRequest(
                f"The tokenizer of {self._name!r} has no chat template, so it cannot hold a "
                "conversation.",
                value=self._name,
                fix="Give it a text to continue, as a prompt.",
            )
        try:
            said: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            raise BadRequest(
                f"The messages do not fit the chat template of {self._name!r}: {error}.",
                value=self._name,
                fix="Correct their roles and their order.",
            ) from None
        return said
