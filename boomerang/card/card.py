"""The model card of a member or a student: README.md with the metadata that the Hub reads.

The text is a function of its facts alone: the same facts give the same bytes.
Metadata: https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import yaml

from boomerang.card.facts import HARNESS, PAPER, Facts, Size, Task, on_the_hub
from boomerang.card.metadata import metadata
from boomerang.card.snippets import snippets
from boomerang.family.composition import Side, bar, legend
from boomerang.family.order_forms import order_in_words


def card(facts: Facts) -> str:
    """The whole README.md: front matter in YAML, then the text."""
    front = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        _opening(facts),
        _flags(facts.size),
        _layers(facts),
        _family(facts),
        _tasks(facts.tasks),
        _recipe(facts),
        snippets(facts.repo_id, masked=facts.masked),
        _terms(facts),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def _opening(facts: Facts) -> str:
    size = facts.size
    teacher = _link(facts.teacher)
    if facts.is_student and facts.healed:
        what = (
            f"Healed from {facts.healed}, a size of the family of {teacher}: blocks of the "
            "teacher's layers put back into a student by boomerang distillation, and then all "
            f"{size.layers} layers trained by themselves for some steps."
        )
    elif facts.is_student:
        what = (
            f"The student of {teacher}: {size.layers} of its "
            f"{facts.composition.layermap.layers} layers, distilled once by boomerang "
            "distillation. Every other size of the family is made from it and its teacher."
        )
    else:
        made = f"a student healed from {facts.healed}" if facts.healed else ""
        student = _link(facts.student) if facts.student else made or "a student distilled from it"
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
    squares = bar(composition.code)
    return (
        f"## Which layers come from where\n\n{squares}\n\n{legend([squares])} The student keeps "
        f"the teacher's layers {_indices(composition.layermap.kept)}. The order in which blocks "
        f"are put back: {order_in_words(facts.order)}.\n\n"
        + _table(("here", "from the", "its layers"), rows)
    )


def _family(facts: Facts) -> str:
    if not facts.sizes:
        return ""
    columns = [
        ("perplexity", [size.perplexity for size in facts.sizes]),
        ("KL to the teacher", [size.kl for size in facts.sizes]),
        ("naive pruning, perplexity", [size.naive_perplexity for size in facts.sizes]),
        ("naive pruning, KL", [size.naive_kl for size in facts.sizes]),
        ("agreement", [size.agreement for size in facts.sizes]),
        ("drafts it accepts", [size.drafted for size in facts.sizes]),
        ("its drafts accepted", [size.acceptance for size in facts.sizes]),
        ("ends its turns", [size.stopped for size in facts.sizes]),
    ]
    shown = [column for column in columns if any(value is not None for value in column[1])]
    rows = [
        (
            _size_name(size, facts),
            f"{size.parameters:,}",
            str(size.layers),
            *(_number(values[index]) for _, values in shown),
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
        ) + _alike(facts)
    return "## The family\n\n" + _table(head, rows) + measured


def _alike(facts: Facts) -> str:
    """What the columns of shares say, and how perplexity goes along the text."""
    said = ""
    if any(size.agreement is not None for size in facts.sizes):
        said = (
            " Agreement is the share of tokens at which the most likely token is the teacher's "
            "too. Drafts: where the smaller model writes ahead and the larger one accepts or "
            "refuses, the share of tokens accepted, of the student's by this size and of this "
            "size's by the teacher ([speculative decoding](https://arxiv.org/abs/2211.17192))."
        )
    if any(size.stopped is not None for size in facts.sizes):
        said += (
            " Ends its turns: in conversations of that text, the share of the assistant's turns "
            "that it ends, as a chat model must, before the check does."
        )
    if facts.size.by_position:
        along = ", ".join(_number(value) or "–" for value in facts.size.by_position)
        said += f"\n\nPerplexity from the beginning of a window of text to its end: {along}."
    return said


def _tasks(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    rows = [
        (
            task.task,
            task.label,
            _number(task.value),
            _number(task.stderr),
            "" if task.shots is None else str(task.shots),
            f"{task.samples or ''}{' of more' if task.limited else ''}",
        )
        for task in tasks
    ]
    head = ("task", "metric", "value", "standard error", "shots", "examples")
    return (
        f"## Tasks\n\n{_table(head, rows)}\n\nMeasured with "
        f"[lm-evaluation-harness]({HARNESS}) {tasks[0].harness or ''}".rstrip()
        + "."
    )


def _recipe(facts: Facts) -> str:
    if not facts.recipe:
        return ""
    rows = [(str(key), _value(value)) for key, value in facts.recipe.items()]
    return "## How the student was made\n\n" + _table(("setting", "value"), rows)


def _terms(facts: Facts) -> str:
    terms = facts.license_name or facts.license
    where = f" ([text]({facts.license_link}))" if facts.license_link else ""
    said = f"The teacher's licence, {terms}{where}, applies here too. " if terms else ""
    return (
        "## Licence and origin\n\n"
        f"{said}The teacher is {_link(facts.teacher)} at commit `{facts.teacher_commit}`. "
        "Its limits and biases are those of its teacher, and smaller sizes know less."
    )


def _link(repo_id: str) -> str:
    if on_the_hub(repo_id):
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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
