"""Conversations up to the assistant's turn, as a teacher that is asked for an answer reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import Conversation
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser, check_tokens

LOOKED = 64
"""Documents, at most, among which conversations are looked for."""


@dataclass(frozen=True)
class Chats:
    """What is asked in some conversations, each as tokens; `ends` are the tokens that end a turn.

    Those are what stands behind an answer in the conversations, and the end of text.
    """

    prompts: tuple[tuple[int, ...], ...]
    ends: frozenset[int]


def chats(
    tokeniser: Tokeniser, texts: Texts, split: Split, count: int, prompt: int, answer: int
) -> Chats | None:
    """As many as `count` conversations of a split, of no more than `prompt` tokens before the turn.

    Those whose own answer has no more than `answer` tokens go before others, each in the order of
    the text. None where there is no conversation, or none that is short enough; of a teacher
    without a template no text is read.
    """
    if not tokeniser.chat.usable:
        return None
    short: list[tuple[int, ...]] = []
    long: list[tuple[int, ...]] = []
    ends = {tokeniser.end}
    for conversation in _conversations(texts, split):
        try:
            turn = tokeniser.chat.turn(conversation)
        except BadRecipe:
            # A template may refuse one without an answer, or a reader of one with a system's turn.
            continue
        if turn is None:
            continue
        asked, said = _ids(tokeniser, turn.prompt), _ids(tokeniser, turn.answer)
        asked = asked[len(tokeniser.begins) :] if _begun(tokeniser, asked) else asked
        whole = (*tokeniser.begins, *asked)
        if whole and len(whole) <= prompt:
            ends |= set() if turn.end is None else {turn.end}
            (short if len(said) <= answer else long).append(whole)
        if len(short) == count:
            break
    found = (*short, *long)[:count]
    return Chats(found, frozenset(ends)) if found else None


def _conversations(texts: Texts, split: Split) -> Iterator[Conversation]:
    for document in islice(texts.documents(split), LOOKED):
        if isinstance(document, Conversation):
            yield document


def _ids(tokeniser: Tokeniser, text: str) -> tuple[int, ...]:
    ids = tokeniser.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    check_tokens(ids, tokeniser.vocabulary)
    return tuple(ids)


def _begun(tokeniser: Tokeniser, ids: tuple[int, ...]) -> bool:
    """Whether the template has written what begins a text."""
    return ids[: len(tokeniser.begins)] == tokeniser.begins
