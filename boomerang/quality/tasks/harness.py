"""A member as a model of the evaluation harness (lm-eval), put together by reference.

The harness asks for likelihoods and continuations of text; tokens are made as its own model of
transformers makes them, so that figures can be compared with published ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.defaults import DEFAULT_MAX_GEN_TOKS
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from boomerang.errors import BadTask
from boomerang.family.composition import Composition
from boomerang.quality.tasks.scoring import Request, Score, Scorer, write
from boomerang.tokens.packing import Tokeniser

_SAMPLING = ("num_beams", "num_return_sequences", "penalty_alpha")


class MemberLM(TemplateLM):  # type: ignore[misc]
    """A member for the harness; members that share a scorer are scored together."""

    def __init__(self, scorer: Scorer, member: Composition, tokeniser: Tokeniser) -> None:
        super().__init__()
        self.scorer, self.member, self.tokenizer = scorer, member, tokeniser.tokenizer
        self._end = tokeniser.end

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text: eos, or bos where there is no eos."""
        return self._end

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without a context: bos, or eos where there is no bos."""
        begin = self.tokenizer.bos_token_id
        return self._end if begin is None else int(begin)

    @property
    def max_length(self) -> int:
        """How many tokens the model can see."""
        return self.scorer.length

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: object
    ) -> list[int]:
        """The tokens of a text; a bos that stands in it already is not added again."""
        if add_special_tokens is None:
            begin = self.tokenizer.decode([self.prefix_token_id])
            add_special_tokens = not has_bos_prefix(string, begin)
        found: list[int] = self.tokenizer.encode(
            string, add_special_tokens=add_special_tokens, verbose=False
        )
        return found

    def _loglikelihood_tokens(
        self, requests: Iterable[tuple[Any, list[int], list[int]]], **_: object
    ) -> list[Score]:
        asked: list[Request] = [(tuple(a), tuple(b)) for _, a, b in requests]
        return self.scorer.score(self.member, asked)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[Score]:
        """Of each (context, continuation): its log-likelihood, and whether it is the greedy one.

        Raises BadTask for a continuation without text.
        """
        if any(not request.args[1] for request in requests):
            raise BadTask(
                "A continuation is empty.", fix="Choose a task whose answers have text in them."
            )
        found: list[Score] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return found

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = True
    ) -> list[float]:
        """The log-likelihood of each whole text, in disjoint windows of the model's length."""
        windows: list[list[Request]] = []
        for request in requests:
            parts = get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            pairs = map(make_disjoint_window, parts)
            windows.append([(tuple(context), tuple(rest)) for context, rest in pairs])
        scores = iter(self.scorer.score(self.member, [one for text in windows for one in text]))
        return [sum(next(scores)[0] for _ in text) for text in windows]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> list[str]:
        """What is written greedily after each context, up to the first of its stops.

        Raises BadTask for a task that samples, or that writes more than the model can see.
        """
        groups: dict[str, list[int]] = {}
        for at, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(at)
        written: dict[int, str] = {}
        for places in groups.values():
            contexts = [requests[at].args[0] for at in places]
            texts = self._continue(contexts, requests[places[0]].args[1])
            written |= dict(zip(places, texts, strict=True))
        return [written[at] for at in range(len(requests))]

    def _continue(self, contexts: Sequence[str], options: dict[str, Any]) -> list[str]:
        kept = normalize_gen_kwargs(options, DEFAULT_MAX_GEN_TOKS)
        count, stops = int(kept["max_gen_toks"]), [s for s in kept.get("until") or [] if s]
        if kept["do_sample"] or any(kept.get(name) for name in _SAMPLING):
            raise BadTask(
                f"The task does not decode greedily: {options}.",
                value=str(options),
                fix="Choose a task that does.",
            )
        room = self.max_length - count
        if room < 1:
            raise BadTask(
                f"The task writes {count} tokens; the model can see {self.max_length}.",
                value=count,
                fix="Choose a task that writes less.",
            )
        ends = self._ends()

        def text(tokens: list[int]) -> str:
            found: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
            return found

        def ended(tokens: list[int]) -> bool:
            return tokens[-1] in ends or any(stop in text(tokens) for stop in stops)

        encoded = [self.tok_encode(context) or [self.prefix_token_id] for context in contexts]
        prompts = [tuple(tokens[-room:]) for tokens in encoded]
        couple = self.scorer.couple
        written = write(couple, self.member, prompts, count, ended, self.scorer.tick)
        return [postprocess_generated_text(text(one), stops, None) for one in written]

    def _ends(self) -> set[int]:
        """The tokens after which a model of transformers stops by itself."""
        told = getattr(self.scorer.couple.teacher.model, "generation_config", None)
        found = getattr(told, "eos_token_id", None)
        return {self._end, *(found if isinstance(found, list) else [found])} - {None}
