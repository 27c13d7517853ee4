"""The evaluation harness (lm-eval), run for one member after another."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import evaluate
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from lm_eval.models.utils import resolve_max_length
from lm_eval.tasks import TaskManager

from boomerang.errors import BadTask
from boomerang.family.composition import Composition
from boomerang.modules.couple import Couple
from boomerang.quality.tasks.harness import MemberLM
from boomerang.quality.tasks.results import Metric, TaskRequest
from boomerang.quality.tasks.scoring import Scorer
from boomerang.tokens.packing import Tokeniser

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
        self,
        couple: Couple,
        members: Mapping[int, Composition],
        tokeniser: Tokeniser,
        asked: TaskRequest,
        tick: Callable[[], None],
    ) -> Iterator[tuple[int, tuple[Metric, ...]]]:
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
