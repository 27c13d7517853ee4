"""What was measured: of this size, of the whole family, and in tasks."""

from collections.abc import Callable, Sequence

from boomerang.card.facts import HARNESS, QUALITY, Facts, Size, Task
from boomerang.card.words import count, joined, table
from boomerang.charts.drawing.figures import number, share, with_error

DRAFTS = "https://arxiv.org/abs/2211.17192"


def measured(facts: Facts) -> str:
    """The section on this size; empty where nothing was measured of it on held-out text."""
    size = facts.size
    if not size.measured:
        return ""
    rows = [(name, _figure(size, field)) for field, name in _NAMES.items() if _has(size, field)]
    naive = _beside_naive(size)
    parts = [
        "## How good it is",
        f"![{curve_in_words(facts)}]({QUALITY})" if facts.pictures and curve(facts) else "",
        table(("on held-out text", "this size"), rows, numbers=1),
        f"{_over(facts)}{naive}{_alike(size)}",
        _along(size),
    ]
    return "\n\n".join(part for part in parts if part)


_NAMES = {
    "perplexity": "perplexity",
    "kl": "KL(teacher ‖ this size), nats a token",
    "agreement": "tokens whose most likely one is the teacher's too",
    "acceptance": "its drafts that the teacher accepts",
    "drafted": "the student's drafts that it accepts",
    "stopped": "turns of a conversation that it ends in time",
}
_SHARES = ("agreement", "acceptance", "drafted", "stopped")


def _has(size: Size, field: str) -> bool:
    return getattr(size, field) is not None


def _figure(size: Size, field: str) -> str:
    value = getattr(size, field)
    return share(value) if field in _SHARES else with_error(value, size.errors.get(field))


def _over(facts: Facts) -> str:
    """Over what the figures were taken, and what stands behind the ±."""
    size, text = facts.size, facts.text or "held-out text"
    if not (size.windows and size.window):
        return f"Measured on {_held_out(text)}."
    over = f"{count(size.windows)} windows of {count(size.window)} tokens"
    error = ", and ± is the standard error over these windows" if size.errors else ""
    return f"Measured on {_held_out(text)}: {over}{error}."


def _held_out(text: str) -> str:
    return text if "held-out" in text else f"the held-out part of {text}"


def _beside_naive(size: Size) -> str:
    """What the teacher's own layers at this depth are like, without distillation."""
    found = [
        f"{name} {with_error(value, size.errors.get(field))}"
        for field, name in (("naive_perplexity", "perplexity"), ("naive_kl", "KL"))
        if (value := getattr(size, field)) is not None
    ]
    if not found:
        return ""
    return (
        f" Naive pruning (the teacher's own layers at the same depth, without distillation) has "
        f"{joined(found)} there."
    )


def _alike(size: Size) -> str:
    if size.acceptance is None and size.drafted is None:
        return ""
    return (
        " Drafts: where the smaller model writes ahead and the larger one accepts or refuses "
        f"([speculative decoding]({DRAFTS}))."
    )


def _along(size: Size) -> str:
    if not size.by_position:
        return ""
    along = ", ".join(number(value) or "–" for value in size.by_position)
    return f"Perplexity from the beginning of a window of text to its end: {along}."


def family(facts: Facts) -> str:
    """The section on all sizes, with a link to each that is published."""
    if not facts.sizes:
        return ""
    shown = [(name, show) for name, field, show in _COLUMNS if any(map(_with(field), facts.sizes))]
    rows = [
        (
            _name(size, facts),
            count(size.parameters),
            str(size.layers),
            *(show(size) for _, show in shown),
        )
        for size in facts.sizes
    ]
    head = ("size", "parameters", "layers", *(name for name, _ in shown))
    said = (
        "Naive pruning: the perplexity of the teacher's own layers at the same depth, without "
        "distillation. KL is KL(teacher ‖ model) in nats a token."
        if shown
        else ""
    )
    parts = ("## The family", table(head, rows, numbers=len(head) - 1), said)
    return "\n\n".join(part for part in parts if part)


def _error(field: str) -> Callable[[Size], str]:
    return lambda size: with_error(getattr(size, field), size.errors.get(field))


def _with(field: str) -> Callable[[Size], bool]:
    return lambda size: getattr(size, field) is not None


_COLUMNS: tuple[tuple[str, str, Callable[[Size], str]], ...] = (
    ("perplexity", "perplexity", _error("perplexity")),
    ("KL to the teacher", "kl", _error("kl")),
    ("agreement", "agreement", lambda s: "" if s.agreement is None else share(s.agreement)),
    ("naive pruning", "naive_perplexity", _error("naive_perplexity")),
)


def _name(size: Size, facts: Facts) -> str:
    if size.name == facts.size.name:
        return f"**{size.name}**"
    return f"[{size.name}](https://huggingface.co/{size.repo_id})" if size.repo_id else size.name


def curve(facts: Facts) -> tuple[Size, ...]:
    """The sizes of the family's curve: those with a perplexity, where there is more than one."""
    found = tuple(size for size in facts.sizes if size.perplexity is not None)
    return found if len(found) > 1 else ()


def curve_in_words(facts: Facts) -> str:
    """What the picture of the curve shows, for who cannot see it."""
    found = curve(facts)
    points = joined([f"{size.name}: {number(size.perplexity)}" for size in found])
    naive = any(size.naive_perplexity is not None for size in found)
    beside = ", beside naive pruning to the same depths" if naive else ""
    return f"Perplexity of each size of the family by its parameters{beside}. {points}."


def tasks(facts: Facts) -> str:
    """The section on the evaluation harness; empty where none of its tasks has a figure."""
    found: Sequence[Task] = facts.tasks
    if not found:
        return ""
    rows = [
        (
            task.task,
            task.label,
            with_error(task.value, task.stderr),
            "" if task.shots is None else str(task.shots),
            f"{'' if task.samples is None else count(task.samples)}"
            f"{' of more' if task.limited else ''}",
        )
        for task in found
    ]
    head = ("task", "metric", "value ± standard error", "shots", "examples")
    by = f"Measured with [lm-evaluation-harness]({HARNESS}) {found[0].harness or ''}".rstrip()
    return f"## Tasks\n\n{table(head, rows, numbers=3)}\n\n{by}."
