"""Tokens as text while they are written: no half characters, and nothing behind a stop string."""

from collections.abc import Callable, Sequence
from typing import Any

_BEFORE = 6
"""Tokens of the prompt that are decoded with the first ones written, as some decoders drop the
space before a text."""
_HALF = "�"
"""What a decoder puts for bytes that are no whole character (yet)."""
_WINDOW = 24
"""Tokens that are decoded together at most, but for those of one character."""
_LONGEST = 16
"""Tokens after which text goes out though its last character is not whole: it never will be."""


class Decoder:
    """Decodes tokens one at a time. The pieces it gives make up the whole text."""

    def __init__(self, tokenizer: Any, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ids = [*prompt[-_BEFORE:]]
        self._said = len(self._ids)
        self._before = self._text()

    def add(self, token: int) -> str:
        """The text that is whole with this token; empty where a character is not."""
        self._ids.append(token)
        return self._new(len(self._ids) - self._said >= _LONGEST)

    def rest(self) -> str:
        """What is left at the end, whole or not."""
        return self._new(whatever=True)

    def _new(self, whatever: bool) -> str:
        now = self._text()
        if not whatever and (now.endswith(_HALF) or len(now) <= len(self._before)):
            return ""
        new = now[len(self._before) :]
        self._before, before, self._said = now, self._said, len(self._ids)
        if self._said > _WINDOW:
            # What was said last remains the beginning of what is decoded next.
            del self._ids[: max(0, before - 1)]
            self._before, self._said = self._text(), len(self._ids)
        return new

    def _text(self) -> str:
        text: str = self._tokenizer.decode(
            self._ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


class Said:
    """Text that is told as it comes, up to the first of the strings that stop it.

    What may be the beginning of one is held back until it is none.
    """

    def __init__(self, told: Callable[[str], object], stops: Sequence[str] = ()) -> None:
        self._told, self._stops = told, stops
        self._held = ""
        self.stopped = False

    def add(self, text: str) -> None:
        """Some more text; nothing is told once it has stopped."""
        if self.stopped or not text:
            return
        self._held += text
        places = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, self._held[: min(places)]
            self.end()
            return
        safe = len(self._held) - max((_begun(self._held, s) for s in self._stops), default=0)
        out, self._held = self._held[:safe], self._held[safe:]
        if out:
            self._told(out)

    def end(self) -> None:
        """Nothing more comes: what was held back is told."""
        out, self._held = self._held, ""
        if out:
            self._told(out)


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop string."""
    most = min(len(text), len(stop) - 1)
    return next((n for n in range(most, 0, -1) if text.endswith(stop[:n])), 0)
