"""What the Hub reads of a model card: licence, lineage, languages and figures."""

from typing import Any

from boomerang.card.facts import HARNESS, PAPER, Facts, Task, on_the_hub
from boomerang.hub.publish import OURS


def metadata(facts: Facts) -> dict[str, Any]:
    """The front matter. Keys without a value are left out."""
    student = facts.is_student
    origins = [facts.teacher] if student else [facts.teacher, facts.student or ""]
    base = [origin for origin in origins if on_the_hub(origin)]
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask" if facts.masked else "text-generation",
        "license": facts.license,
        "license_name": facts.license_name,
        "license_link": facts.license_link,
        "language": list(facts.language),
        "datasets": list(facts.datasets),
        "base_model": base,
        # The Hub knows adapter, merge, quantized and finetune; a merge has its sources as bases.
        "base_model_relation": ("finetune" if student else "merge") if base else None,
        "tags": [OURS, "boomerang-distillation", "distillation", f"arxiv:{PAPER}"],
        "model-index": _results(facts),
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


def _results(facts: Facts) -> list[dict[str, Any]]:
    measured = [
        {"type": kind, "value": round(value, 6), "name": name}
        for kind, value, name in (
            ("perplexity", facts.size.perplexity, "Perplexity"),
            ("kl_divergence", facts.size.kl, "KL to the teacher, nats a token"),
        )
        if value is not None
    ]
    name = facts.text or "held-out text"
    dataset = {"type": facts.datasets[0] if facts.datasets else name, "name": name}
    task = {"type": "text-generation", "name": "Text Generation"}
    results: list[dict[str, Any]] = []
    if measured:
        results.append({"task": task, "dataset": dataset, "metrics": measured})
    results.extend({"task": task, **_task_result(one)} for one in facts.tasks)
    return [{"name": facts.title, "results": results}] if results else []


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
