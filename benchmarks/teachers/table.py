"""The figures as Markdown: one section for each teacher."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from statistics import mean

from benchmarks.quality.paired import Estimate, over_runs, over_seeds
from benchmarks.teachers.runs import RECIPES, Family, Subject
from boomerang.quality.measure import Quality

Own = Mapping[int, Quality]
"""Students of their own, by layers, made with the first seed."""

INTRODUCTION = """# The shipped recipe beside the published one, on teachers that differ

Written by `make bench-quality` (`python -m benchmarks.teachers`). Machine: {machine}.

Both recipes get equal processor time (timed in turn), text, batch and learning rate. Each family's
order is chosen on calibration text; figures are of {split} text. KL is KL(teacher ‖ member) in nats
a token, perplexities are in brackets. Each ± is a standard error: the first over windows of the
same models, the second over seeds (of two a rough one). A dash is a size that a family lacks.

"""


def section(
    subject: Subject, made: Sequence[Sequence[Family]], own: Own, healed: Own | None = None
) -> str:
    """One teacher's tables; `made` has for each seed a family by each recipe."""
    by = {name: [next(f for f in seed if f.recipe == name) for seed in made] for name in RECIPES}
    published, ours = (by[name] for name in RECIPES)
    depths = sorted({layers for family in ours for layers in family.layers[:-1]})
    lines = [f"## {subject.name}\n", *_about(subject, published, ours)]
    lines += ["| layers | " + " | ".join(map(str, depths)) + " |"]
    lines += ["|---" + "|--:" * len(depths) + "|"]
    for name, families in by.items():
        lines.append(_row(f"recipe {name}", depths, lambda d, f=families: _cell(_at(f, d))))
    lines.append(_row("÷ published, KL", depths, lambda d: _ratio(_at(ours, d), _at(published, d))))
    lines.append(_row("÷ published, perplexity", depths, lambda d: _worse(ours, published, d)))
    if own:
        lines += _against_own(ours[:1], own, healed or {}, depths)
    return "\n".join([*lines, "", *_summary(published, ours), ""])


def _against_own(
    first: Sequence[Family], own: Own, healed: Own, depths: Sequence[int]
) -> list[str]:
    """Beside the family of the same seed, and members of it that were healed."""

    def alone(depth: int) -> list[Quality]:
        return [own[depth]] if depth in own else []

    def better(depth: int) -> list[Quality]:
        return [healed[depth]] if depth in healed else []

    return [
        _row("distilled for the size", depths, lambda d: _cell(alone(d))),
        _row("family ÷ it, KL", depths, lambda d: _ratio(_at(first, d), alone(d))),
        _row("family ÷ it, perplexity", depths, lambda d: _perplexities(_at(first, d), alone(d))),
        _row("healed", depths, lambda d: _cell(better(d))),
        _row("healed ÷ it, KL", depths, lambda d: _ratio(better(d), alone(d))),
        _row("healed ÷ it, perplexity", depths, lambda d: _perplexities(better(d), alone(d))),
    ]


def _about(subject: Subject, published: Sequence[Family], ours: Sequence[Family]) -> list[str]:
    tokens = subject.shape["batch_tokens"]
    said = [
        f"Seeds {', '.join(map(str, subject.seeds))}; {published[0].steps} steps of {tokens:,} "
        f"tokens for the published recipe, {ours[0].steps} for the shipped one. Layers kept: "
        f"{', '.join(map(str, published[0].kept))} and {', '.join(map(str, ours[0].kept))}. "
        f"Orders: {', '.join(f.order for f in published)} and "
        f"{', '.join(f.order for f in ours)}."
    ]
    if subject.bfloat16:
        said.append("Products in training are in bfloat16, weights and measures in float32.")
    return ["\n".join(said), ""]


def _summary(published: Sequence[Family], ours: Sequence[Family]) -> list[str]:
    """What the issue of the mean ratio, the largest one, and dips comes to."""
    both = [d for d in ours[0].layers[1:-1] if _at(ours, d) and _at(published, d)]
    ratios = [_kl(_at(ours, d)) / _kl(_at(published, d)) for d in both]
    student = _kl(_at(ours, ours[0].layers[0])) / _kl(_at(published, published[0].layers[0]))
    dips = [d for family in ours for d in dips_of(family)]
    return [
        f"Between student and teacher the KL is {mean(ratios):.2f} of the published one's in the "
        f"mean, {max(ratios):.2f} at most; the student's own {student:.2f}. "
        + (
            "KL and perplexity fall at every step."
            if not dips
            else f"Not every step lowers both: {', '.join(f'{d} layers' for d in dips)}."
        )
    ]


def dips_of(family: Family) -> list[int]:
    """The sizes whose KL or perplexity is above that of the next smaller member."""
    pairs = zip(family.qualities, family.qualities[1:], family.layers[1:], strict=False)
    return [d for a, b, d in pairs if b.kl > a.kl or b.perplexity > a.perplexity]


def _at(families: Sequence[Family], layers: int) -> list[Quality]:
    """Of each seed the quality at a size; none where a family lacks it."""
    found = [dict(zip(f.layers, f.qualities, strict=True)).get(layers) for f in families]
    return [one for one in found if one is not None] if None not in found else []


def _kl(found: Sequence[Quality]) -> float:
    return mean(one.kl for one in found)


def _perplexity(found: Sequence[Quality]) -> float:
    return exp(mean(log(one.perplexity) for one in found))


def _cell(found: Sequence[Quality]) -> str:
    if not found:
        return "–"
    text = str(Estimate.of(over_seeds([one.windows for one in found])))
    if len(found) > 1:
        text += f" ± {over_runs([one.kl for one in found]):.3f}"
    return f"{text} ({_perplexity(found):.2f})"


def _ratio(one: Sequence[Quality], other: Sequence[Quality]) -> str:
    return f"{_kl(one) / _kl(other):.2f}" if one and other else "–"


def _perplexities(one: Sequence[Quality], other: Sequence[Quality]) -> str:
    return f"{_perplexity(one) / _perplexity(other):.3f}" if one and other else "–"


def _worse(ours: Sequence[Family], published: Sequence[Family], layers: int) -> str:
    return _perplexities(_at(ours, layers), _at(published, layers))


def _row(name: str, depths: Sequence[int], cell: Callable[[int], str]) -> str:
    return f"| {name} | " + " | ".join(cell(depth) for depth in depths) + " |"
