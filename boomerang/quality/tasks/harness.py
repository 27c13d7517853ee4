"""A member as a model of the evaluation harness (lm-eval), put together by reference.

The harness asks for likelihoods and continuations of text; tokens are made as its own model of
transformers makes them, so that figures can be compared with published ones.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import evaluate
from lm_eval.api.model import TemplateLM
from lm_eval.defaults import DEFAULT_MAX_GEN_TOKS, DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from lm_eval.models.utils import (
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
    resolve_max_length,
)
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from boomerang.errors import BadTask
from boomerang.family.composition import Composition
from boomerang.modules.couple import Couple
from boomerang.quality.tasks.run import Metric, TaskRequest
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


BOOTSTRAP = 1000
"""Resamples for the standard error of a metric that has no formula for it."""


class Harness:
    """The harness with its tasks, loaded when they are first needed."""

    def __init__(self, names: Sequence[str], folder: Path | None) -> None:
        self.manager: Any = None
        if folder is not None:
            self.manager = TaskManager(include_path=str(folder), include_defaults=False)
        if self.manager is None or not set(names) <= set(self.manager.all_subtasks):
            self.manager = TaskManager(include_path=str(folder) if folder else None)

    def runs(
        self, couple: Couple, members: Mapping[int, Composition], tokeniser: Tokeniser,
        asked: TaskRequest, tick: Callable[[], None],
    ) -> Iterator[tuple[int, tuple[Metric, ...]]]:  # fmt: skip
        """The figures of a task for every member, by the member's k."""
        loaded = self._load(asked.name)
        length = resolve_max_length(couple.teacher.config, tokeniser.tokenizer)
        scorer = Scorer(couple, [*members.values()], length, tick)
        for k, member in members.items():
            lm = MemberLM(scorer, member, tokeniser)
            yield k, _metrics(self._evaluate(lm, loaded, asked.limit), asked.name)

    def _load(self, name: str) -> Any:
        # The harness would also take a path or a pattern, which no request may name.
        if name not in self.manager.task_index:
            raise BadTask(f"There is no task {name!r}.", value=name, fix="See `lm-eval ls tasks`.")
        _seed()
        loaded = self.manager.load([name])
        for task in loaded["tasks"].values():
            if task.get_config("num_fewshot") is None:
                task.set_config("num_fewshot", 0)
        return loaded

    def _evaluate(self, lm: Any, loaded: Any, limit: int | None) -> dict[str, Any]:
        """What `simple_evaluate` does with its defaults, but for a report on the machine."""
        _seed()
        for task in loaded["tasks"].values():
            # Drawn anew for every member: the same examples stand in the prompts of all.
            task.set_fewshot_seed(DEFAULT_OTHER_SEED)
        found: dict[str, Any] = evaluate(
            lm, loaded, limit=limit, bootstrap_iters=BOOTSTRAP, log_samples=False
        )
        return found


def _seed() -> None:
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)


def _metrics(found: Mapping[str, Any], name: str) -> tuple[Metric, ...]:
    """The figures of a task; of a group its own, or where it has none those of its tasks.

    Raises BadTask where there is no figure, or one that is not finite.
    """
    results: Mapping[str, Mapping[str, Any]] = found["results"]
    own = [*_figures(found, name)] if name in results else []
    figures = own or [one for task in results for one in _figures(found, task)]
    wrong = next((one for one in figures if not math.isfinite(one.value)), None)
    if wrong is not None or not figures:
        what = "no figure" if wrong is None else f"{wrong.metric} {wrong.value}"
        raise BadTask(f"{name} gives {what}.", value=name, fix="Use more examples, or another.")
    return tuple(figures)


def _figures(found: Mapping[str, Any], task: str) -> Iterator[Metric]:
    results: Mapping[str, Any] = found["results"][task]
    version = found.get("versions", {}).get(task)
    samples = found.get("n-samples", {}).get(task, {}).get("effective")
    for key, value in results.items():
        metric, _, filtered = key.partition(",")
        if not filtered or metric.endswith("_stderr") or isinstance(value, str):
            continue
        error = results.get(f"{metric}_stderr,{filtered}")
        known = isinstance(error, int | float) and math.isfinite(error)
        yield Metric(
            task=task,
            metric=metric,
            filter=filtered,
            value=round(float(value), 6),
            stderr=round(float(error), 6) if known else None,  # type: ignore[arg-type]
            version=None if version is None else str(version),
            samples=samples,
            shots=found.get("n-shot", {}).get(task),
        )
