"""What the Hub reads of a model card: licence, lineage, languages and figures."""

from typing import Any

import yaml

from boomerang.card.facts import HARNESS, PAPER, Facts, Origin, Size, Task, on_the_hub
from boomerang.hub.publish import OURS

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Both write the same; that of libyaml is six times as fast, and a front end waits for it."""

_FIGURES = (
    ("perplexity", "perplexity", "Perplexity"),
    ("kl", "kl_divergence", "KL to the teacher, nats a token"),
)


def front_matter(facts: Origin) -> str:
    """The metadata as YAML between its fences, with an empty line after it."""
    style: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "width": 1000}
    front = yaml.dump(metadata(facts), Dumper=_DUMPER, **style)
    return f"---\n{front}---\n\n"


def metadata(facts: Origin) -> dict[str, Any]:
    """The front matter. Keys without a value are left out."""
    made_of, relation = _made_of(facts)
    base = [origin for origin in made_of if on_the_hub(origin)]
    inherited = facts.inherited
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask" if facts.masked else "text-generation",
        "license": inherited.license,
        "license_name": inherited.license_name,
        "license_link": inherited.license_link,
        "language": list(inherited.language),
        "datasets": list(facts.datasets),
        "base_model": base,
        "base_model_relation": relation if base else None,
        "tags": [OURS, "boomerang-distillation", "distillation", f"arxiv:{PAPER}"],
        "model-index": _results(facts) if isinstance(facts, Facts) else None,
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


def _made_of(facts: Origin) -> tuple[list[str], str | None]:
    """What a model was made of, and how, in the Hub's words.

    It knows adapter, merge, quantized and finetune; a merge has its sources as bases, and for the
    teacher as it is there is no word.
    """
    if not isinstance(facts, Facts) or facts.is_student:
        return [facts.teacher], "finetune"
    if facts.is_teacher:
        return [facts.teacher], None
    return [facts.teacher, *([facts.student] if facts.student else [])], "merge"


def _results(facts: Facts) -> list[dict[str, Any]]:
    measured = [
        _metric(facts.size, name, kind, label)
        for name, kind, label in _FIGURES
        if getattr(facts.size, name) is not None
    ]
    name = facts.text or "held-out text"
    # One dataset has an id of the Hub; several are no dataset there.
    known = facts.datasets[0] if len(facts.datasets) == 1 else name
    task = {"type": "text-generation", "name": "Text Generation"}
    results: list[dict[str, Any]] = []
    if measured:
        dataset = {"type": known, "name": name}
        results.append({"task": task, "dataset": dataset, "metrics": measured})
    results.extend({"task": task, **_task_result(one)} for one in facts.tasks)
    return [{"name": facts.title, "results": results}] if results else []


def _metric(size: Size, name: str, kind: str, label: str) -> dict[str, Any]:
    """One figure of held-out text, with its standard error and over what that was taken."""
    metric: dict[str, Any] = {"type": kind, "value": round(getattr(size, name), 6), "name": label}
    if name in size.errors:
        metric["args"] = {
            "stderr": round(size.errors[name], 6),
            "windows": size.windows,
            "tokens_a_window": size.window,
        }
    return metric


def _task_result(task: Task) -> dict[str, Any]:
    """One result of the model index: where it is from, over what, and how sure it is."""
    about = {
        "version": task.version,
        "num_few_shot": task.shots,
        "examples": task.samples,
        "limited": task.limited or None,
    }
    metric: dict[str, Any] = {"type": task.metric, "value": task.value, "name": task.label}
    if task.stderr is not None:
        metric["args"] = {"stderr": task.stderr}
    dataset = {"type": task.task, "name": task.task}
    known = {key: value for key, value in about.items() if value is not None}
    return {
        "dataset": {**dataset, "args": known} if known else dataset,
        "metrics": [metric],
        "source": {"name": f"lm-evaluation-harness {task.harness or ''}".strip(), "url": HARNESS},
    }
