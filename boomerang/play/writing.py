"""One request answered: transformers' own `generate`, told token by token."""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from boomerang.play.held import Held
from boomerang.play.job import Ask
from boomerang.play.text import Decoder, Said

DRAFTED = 2
"""Tokens that the student proposes at once.

With a student of the share r of a member's layers, of whose tokens the share a is taken, g of them
at once make (1 - a^(g+1)) / ((1 - a)(g r + 1)) as many tokens a second (Leviathan et al. 2023,
theorem 3.8, without what a call costs besides). With r = 0.5, as students here have, two gain
9 to 35 % from a = 0.7 to 0.9, and five are slower than none below 0.78.
"""

_GREEDY = 1e-3
"""A temperature below which draws are no draws any more."""
_PLAIN: dict[str, Any] = {
    "do_sample": False, "temperature": 1.0, "top_p": 1.0, "top_k": 50, "num_beams": 1,
    "num_return_sequences": 1, "max_length": None, "min_length": 0, "max_time": None,
    "stop_strings": None, "use_cache": True, "cache_implementation": None,
    "return_dict_in_generate": False,
}  # fmt: skip
"""What a request says, and what would have a text come otherwise than token by token."""

Tell = Callable[..., object]
"""Called with the name of an event and its fields."""


@dataclass(eq=False)
class Answer(BaseStreamer, StoppingCriteria):  # type: ignore[misc]
    """What is written, told as it comes; ends it where it is cancelled or a stop string is said."""

    said: Said
    decoder: Decoder
    most: int
    cancelled: Callable[[], bool]
    count: int = 0
    last: int | None = None
    _prompt: bool = True

    def put(self, value: Tensor) -> None:
        """Tokens from `generate`: the prompt first, then one or more at a time."""
        if self._prompt:
            self._prompt = False
            return
        for token in value.flatten().tolist():
            if self.said.stopped or self.count >= self.most:
                return
            self.count, self.last = self.count + 1, token
            self.said.add(self.decoder.add(token))

    def end(self) -> None:
        """Nothing more is written."""
        self.said.add(self.decoder.rest())
        self.said.end()

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Whether to end, for each row (B,) of what is written."""
        over = self.said.stopped or self.cancelled()
        return torch.full((len(input_ids),), over, dtype=torch.bool, device=input_ids.device)


def answer(held: Held, ask: Ask, tell: Tell, cancelled: Callable[[], bool]) -> None:
    """Answer one request with events `begun`, `text` and `done`, until it is `cancelled`.

    Raises BadComposition for a code that is none of the pair's, BadRequest for a prompt that
    cannot be read or is too long.
    """
    ids = held.prompts.tokens(ask, held.context - 1)
    model, switched = held.member(ask.code)
    room = min(ask.max_tokens, held.context - len(ids))
    draft = ask.draft and ask.code != held.student.code
    model.generation_config = told = _settings(held, ask, room)
    tell("begun", id=ask.id, prompt_tokens=len(ids), switch_ms=round(switched, 3), draft=draft)
    begun = time.perf_counter()

    def text(piece: str) -> None:
        tell("text", id=ask.id, text=piece, tokens=writing.count)

    writing = Answer(Said(text, ask.stop), Decoder(held.prompts.tokenizer, ids), room, cancelled)
    extra: dict[str, Any] = {}
    if draft:
        extra["assistant_model"], _ = held.member(held.student.code)
        extra["assistant_model"].generation_config = drafting = copy(told)
        drafting.num_assistant_tokens = DRAFTED
        drafting.num_assistant_tokens_schedule = "constant"
    if ask.seed is not None:
        torch.manual_seed(ask.seed)
    given = torch.tensor([ids], device=held.couple.teacher.device)
    if not cancelled():
        model.generate(
            given,
            attention_mask=torch.ones_like(given),
            streamer=writing,
            stopping_criteria=[writing],
            **extra,
        )
    seconds = time.perf_counter() - begun
    if writing.said.stopped or writing.last in _ends(told):
        reason = "stop"
    else:
        reason = "cancelled" if cancelled() else "length"
    tell(
        "done", id=ask.id, finish_reason=reason, prompt_tokens=len(ids),
        completion_tokens=writing.count, seconds=round(seconds, 4),
        tokens_per_s=round(writing.count / max(seconds, 1e-9), 2),
    )  # fmt: skip


def _settings(held: Held, ask: Ask, room: int) -> Any:
    """The teacher's own settings for writing, with what was asked for."""
    settings = copy(held.couple.teacher.model.generation_config)
    for name, plain in _PLAIN.items():
        setattr(settings, name, plain)
    settings.max_new_tokens = room
    if ask.temperature >= _GREEDY:
        settings.do_sample, settings.temperature = True, ask.temperature
        settings.top_p, settings.top_k = ask.top_p, 0
    ends = _ends(settings)
    if ask.messages is not None or not ends:
        settings.eos_token_id = sorted({*ends, held.prompts.end})
    if settings.pad_token_id is None:
        settings.pad_token_id = held.prompts.end
    return settings


def _ends(settings: Any) -> set[int]:
    """The tokens that end a text."""
    ends = settings.eos_token_id
    if ends is None:
        return set()
    return set(ends) if isinstance(ends, list) else {int(ends)}
