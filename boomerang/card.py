"""The model card of a member or a student: README.md with the metadata that the Hub reads.

The text is a function of its facts alone: the same facts give the same bytes.
Metadata: https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from boomerang.card_snippets import snippets
from boomerang.card_tasks import Task, task_result, task_section
from boomerang.card_text import number, table
from boomerang.composition import Choice, Composition, Side
from boomerang.hub_publish import OURS

PAPER = "2510.05064"
"""arXiv number of the method."""


@dataclass(frozen=True, slots=True)
class Size:
    """One size of the family and what was measured of it; None is what was not measured.

    `kl` is KL(teacher ‖ member) in nats a token; `naive_*` belong to the teacher's own layers at
    the same depth, without distillation. `repo_id` is where it is published,
    `flags` are the reasons for which it is not offered as good.
    """

    name: str
    parameters: int
    layers: int
    perplexity: float | None = None
    kl: float | None = None
    naive_perplexity: float | None = None
    naive_kl: float | None = None
    repo_id: str | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a card says. `size` is one of `sizes`; they are in order, smallest first.

    `teacher` is a repo id, or the bare name of a local model. `student` is the student's repo id
    where it is published. `datasets` are ids on the Hub; `text` names, for people, the text on
    which the sizes were measured. `masked` says that they are masked language models.
    """

    repo_id: str
    size: Size
    composition: Composition
    teacher: str
    teacher_commit: str
    order: str
    dtype: str = "bfloat16"
    student: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    language: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    text: str | None = None
    masked: bool = False
    tasks: tuple[Task, ...] = ()
    """Figures of `size` alone."""

    @property
    def is_student(self) -> bool:
        """Whether no block of it is patched: what the distillation made."""
        return set(self.composition.choices) == {Choice.STUDENT}

    @property
    def title(self) -> str:
        """The repository's name without its owner."""
        return self.repo_id.split("/")[-1]


def card(facts: Facts) -> str:
    """The whole README.md: front matter in YAML, then the text."""
    import yaml

    front = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        _opening(facts),
        _flags(facts.size),
        _layers(facts),
        _family(facts),
        task_section(facts.tasks),
        _recipe(facts),
        snippets(facts.repo_id, masked=facts.masked),
        _terms(facts),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def metadata(facts: Facts) -> dict[str, Any]:
    """The front matter. Keys without a value are left out."""
    student = facts.is_student
    origins = [facts.teacher] if student else [facts.teacher, facts.student or ""]
    base = [origin for origin in origins if _on_the_hub(origin)]
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
    results.extend({"task": task, **task_result(one)} for one in facts.tasks)
    return [{"name": facts.title, "results": results}] if results else []


def _opening(facts: Facts) -> str:
    size = facts.size
    teacher = _link(facts.teacher)
    if facts.is_student:
        what = (
            f"The student of {teacher}: {size.layers} of its "
            f"{facts.composition.layermap.layers} layers, distilled once by boomerang "
            "distillation. Every other size of the family is made from it and its teacher."
        )
    else:
        student = _link(facts.student) if facts.student else "a student distilled from it"
        what = (
            f"A model between {teacher} and {student}, made by boomerang distillation: blocks of "
            "the teacher's layers put back into the student. Nothing was trained to make this "
            "size."
        )
    return (
        f"# {facts.title}\n\n{what}\n\n"
        f"{size.parameters:,} stored parameters, {size.layers} layers, {facts.dtype}. "
        f"Method: [Boomerang Distillation Enables Zero-Shot Model Size Interpolation]"
        f"(https://arxiv.org/abs/{PAPER})."
    )


def _flags(size: Size) -> str:
    return "\n".join(f"> **This size did not pass its checks.** {flag}" for flag in size.flags)


def _layers(facts: Facts) -> str:
    rows: list[tuple[str, str, str]] = []
    at = 0
    for side, run in groupby(facts.composition.layers, key=lambda layer: layer.side):
        layers = list(run)
        here = _span(range(at, at + len(layers)))
        rows.append((here, side.value, _indices([layer.index for layer in layers])))
        at += len(layers)
    composition = facts.composition
    for part in ("embeddings", "norm", "head"):
        side_of: Side = getattr(composition, part)
        rows.append((part if part != "norm" else "final norm", side_of.value, ""))
    return (
        "## Which layers come from where\n\n"
        + table(("here", "from the", "its layers"), rows)
        + f"\n\nPatched in the order `{facts.order}`; the whole composition is "
        f"`{composition.code}`. The student keeps the teacher's layers "
        f"{_indices(composition.layermap.kept)}."
    )


def _family(facts: Facts) -> str:
    if not facts.sizes:
        return ""
    columns = [
        ("perplexity", [size.perplexity for size in facts.sizes]),
        ("KL to the teacher", [size.kl for size in facts.sizes]),
        ("naive pruning, perplexity", [size.naive_perplexity for size in facts.sizes]),
        ("naive pruning, KL", [size.naive_kl for size in facts.sizes]),
    ]
    shown = [column for column in columns if any(value is not None for value in column[1])]
    rows = [
        (
            _size_name(size, facts),
            f"{size.parameters:,}",
            str(size.layers),
            *(number(values[index]) for _, values in shown),
        )
        for index, size in enumerate(facts.sizes)
    ]
    head = ("size", "parameters", "layers", *(name for name, _ in shown))
    measured = ""
    if shown:
        text = facts.text or "held-out text"
        measured = (
            f"\n\nMeasured on {text}; KL is KL(teacher ‖ model) in nats a token. Naive pruning "
            "is the teacher's own layers at the same depth, without distillation."
        )
    return "## The family\n\n" + table(head, rows) + measured


def _recipe(facts: Facts) -> str:
    if not facts.recipe:
        return ""
    rows = [(str(key), _value(value)) for key, value in facts.recipe.items()]
    return "## How the student was made\n\n" + table(("setting", "value"), rows)


def _terms(facts: Facts) -> str:
    terms = facts.license_name or facts.license
    where = f" ([text]({facts.license_link}))" if facts.license_link else ""
    said = f"The teacher's licence, {terms}{where}, applies here too. " if terms else ""
    return (
        "## Licence and origin\n\n"
        f"{said}The teacher is {_link(facts.teacher)} at commit `{facts.teacher_commit}`. "
        "Its limits and biases are those of its teacher, and smaller sizes know less."
    )


def _on_the_hub(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith("/")


def _link(repo_id: str) -> str:
    """A repository as a link; a local model's name as it is."""
    if _on_the_hub(repo_id):
        return f"[{repo_id}](https://huggingface.co/{repo_id})"
    return f"`{repo_id}`"


def _size_name(size: Size, facts: Facts) -> str:
    if size.name == facts.size.name:
        return f"**{size.name}**"
    return f"[{size.name}](https://huggingface.co/{size.repo_id})" if size.repo_id else size.name


def _value(value: object) -> str:
    """A setting as a table shows it; a pipe would end the cell."""
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
        return "; ".join(", ".join(f"{k} {_value(v)}" for k, v in part.items()) for part in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _span(indices: range) -> str:
    return str(indices[0]) if len(indices) == 1 else f"{indices[0]}–{indices[-1]}"


def _indices(indices: Sequence[int]) -> str:
    """Indices with runs drawn together: 0–3, 5, 7."""
    parts = []
    for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        values = [value for _, value in run]
        parts.append(_span(range(values[0], values[-1] + 1)))
    return ", ".join(parts)
