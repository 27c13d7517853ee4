"""The model card of a size: README.md with the metadata that the Hub reads.

The text is a function of its facts alone: the same facts give the same bytes.
Metadata: https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from collections.abc import Iterator
from itertools import groupby

from boomerang.card.facts import LAYERS, METHOD, Facts, Size
from boomerang.card.making import making, terms
from boomerang.card.measured import family, measured, tasks
from boomerang.card.metadata import front_matter
from boomerang.card.snippets import snippets
from boomerang.card.unmeasured import unmeasured
from boomerang.card.words import count, joined, link, span, spans, table
from boomerang.family.composition import Composition, Side, bar, legend
from boomerang.family.order_forms import order_in_words


def card(facts: Facts) -> str:
    """The whole README.md: front matter in YAML, then the text."""
    sections = [
        _opening(facts),
        _flags(facts.size),
        measured(facts),
        snippets(facts),
        family(facts),
        _layers(facts),
        tasks(facts),
        making(facts),
        unmeasured(facts),
        terms(facts),
    ]
    return front_matter(facts) + "\n\n".join(part for part in sections if part) + "\n"


def _opening(facts: Facts) -> str:
    size = facts.size
    line = (
        f"**{count(size.parameters)} stored parameters · {size.layers} layers · {facts.dtype}** · "
        f"method: {METHOD}"
    )
    return f"# {facts.title}\n\n{_what(facts)}\n\n{line}"


def _what(facts: Facts) -> str:
    teacher, depth = link(facts.teacher), facts.composition.layermap.layers
    if facts.is_teacher:
        return (
            f"The largest size of the family of {teacher}: its teacher itself, all {depth} layers "
            "of it, unchanged."
        )
    if facts.is_student and facts.healed:
        return (
            f"Healed from {facts.healed}, a size of the family of {teacher}: blocks of the "
            "teacher's layers put back into a student by boomerang distillation, and then all "
            f"{facts.size.layers} layers trained by themselves for some steps."
        )
    if facts.is_student:
        return (
            f"The student of {teacher}: {facts.size.layers} of its {depth} layers"
            f"{', distilled once by boomerang distillation' if facts.distilled else ''}. Every "
            "other size of the family is made from it and its teacher."
        )
    made = f"a student healed from {facts.healed}" if facts.healed else "its student"
    student = link(facts.student) if facts.student else made
    by = ", made by boomerang distillation" if facts.distilled else ""
    return (
        f"A model between {teacher} and {student}{by}: blocks of the teacher's layers put back "
        "into the student. Nothing was trained to make this size."
    )


def _flags(size: Size) -> str:
    return "\n".join(f"> **This size did not pass its checks.** {flag}" for flag in size.flags)


def _layers(facts: Facts) -> str:
    composition = facts.composition
    picture = f"![{layers_in_words(composition)}]({LAYERS})" if facts.pictures else ""
    squares = bar(composition.code)
    drawn = "" if facts.pictures else f"{squares}\n\n{legend([squares])} "
    said = (
        f"{drawn}The student keeps the teacher's layers {spans(composition.layermap.kept)}. The "
        f"order in which blocks are put back: {order_in_words(facts.order)}."
    )
    rows = table(("here", "from the", "its layers"), [*_runs(composition), *_ends(composition)])
    parts = ("## Which layers come from where", picture, said, rows)
    return "\n\n".join(part for part in parts if part)


def _runs(composition: Composition) -> Iterator[tuple[str, str, str]]:
    """Runs of layers of one side: where they are here, whose they are, and which there."""
    at = 0
    for side, run in groupby(composition.layers, key=lambda layer: layer.side):
        layers = list(run)
        here = span(range(at, at + len(layers)))
        yield here, side.value, spans([layer.index for layer in layers])
        at += len(layers)


def _ends(composition: Composition) -> Iterator[tuple[str, str, str]]:
    for part, name in (("embeddings",) * 2, ("norm", "final norm"), ("head",) * 2):
        side: Side = getattr(composition, part)
        yield name, side.value, ""


def layers_in_words(composition: Composition) -> str:
    """What the picture of the layers shows, for who cannot see it."""
    runs = [f"{here} are the {side}'s {theirs}" for here, side, theirs in _runs(composition)]
    return (
        f"Of the {len(composition.layers)} layers of this size, counted from 0, "
        f"{joined(runs)}; the teacher has {composition.layermap.layers} layers, the student "
        f"{len(composition.layermap.kept)}."
    )
