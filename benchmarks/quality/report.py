"""The figures as tables."""

from collections.abc import Mapping, Sequence
from statistics import mean, median

from benchmarks.distillation.shapes import Shape
from benchmarks.distillation.table import machine
from benchmarks.quality.cost import Cost
from benchmarks.quality.family import (
    APART,
    AUTO,
    FIRST,
    KLPATCH,
    LAST,
    NAIVE,
    NAIVE_BEST,
    SHORTGPT,
    Found,
    Source,
)
from benchmarks.quality.paired import Estimate, over_runs, over_seeds

SHOWN = (AUTO, KLPATCH, LAST, FIRST, NAIVE_BEST, NAIVE, SHORTGPT, APART)
AGAINST = (LAST, FIRST, KLPATCH, NAIVE_BEST, NAIVE, SHORTGPT, APART)

_INTRODUCTION = """# Every size, beside pruning and students of its own

Written by `make bench-quality` (`python -m benchmarks.quality`). Machine: {machine}.

Teacher: `{teacher}`. A student of the recipe `{recipe}` with {steps} steps is distilled with
{seeds}; orders are chosen on {calibration:,} tokens of calibration text, and everything is
measured on {heldout:,} held-out tokens that nothing else used. KL is KL(teacher ‖ model) in nats
a token.

- The first ± is the standard error over held-out windows of {length} tokens: how sure a figure of
  these very models is. Where two models are compared it is that of the difference, window by
  window. It says nothing of another run: that is the second ±, the standard error over the seeds
  (of two seeds a rough one), and the values of each seed in brackets. Values are means over them.
- The recipe was chosen when held-out figures of this text were looked at
  ([log](../experiments.md)); orders were not. Since then recipes are chosen on
  calibration text (`make bench-recipes`).
- Naive pruning keeps the teacher's own layers: of the same blocks as order `last`, or of those
  that are best on the calibration text of all choices of blocks. ShortGPT-style pruning drops the
  layers of least block influence (arXiv 2403.03853).
- Distilled for the size: a student of that many layers, evenly spread, trained for the same tokens
  with the same losses, and never patched. A family is one such distillation, for all its sizes.

"""


def sizes(found: Sequence[Found], source: Source) -> str:
    """The tables of quality as Markdown."""
    windows = len(_windows(found, LAST, min(found[0].series[LAST])))
    length = source.recipe.sequence_length
    count = len(found)
    text = _INTRODUCTION.format(
        machine=machine(),
        teacher=source.teacher.name,
        recipe=source.recipe.name,
        steps=source.recipe.steps,
        seeds="one seed" if count == 1 else f"{count} seeds",
        calibration=source.calibration,
        heldout=windows * length,
        length=length,
    )
    depths = sorted(found[0].series[LAST])
    head = [
        "| layers | " + " | ".join(map(str, depths)) + " |",
        "|---" + "|--:" * len(depths) + "|",
        "| parameters | " + " | ".join(f"{found[0].parameters[d]:,}" for d in depths) + " |",
    ]
    text += "## KL to the teacher\n\n" + "\n".join([*head, *_kls(found, depths)])
    text += "\n\n## Perplexity\n\n" + "\n".join([*head[:2], *_perplexities(found, depths)])
    text += _against_own(found, depths)
    text += _differences(found, depths[:-1]) + _orders(found)
    return text + "\n![Quality against stored parameters](../images/quality.png)\n"


def _kls(found: Sequence[Found], depths: Sequence[int]) -> list[str]:
    def cell(name: str, depth: int) -> str:
        if not has(found, name, depth):
            return ""
        runs = [one.series[name][depth].kl for one in found]
        return str(kl(found, name, depth)) + (f" ± {over_runs(runs):.3f}" if runs[1:] else "")

    return [_row(name, [cell(name, depth) for depth in depths]) for name in SHOWN]


def _perplexities(found: Sequence[Found], depths: Sequence[int]) -> list[str]:
    def cell(name: str, depth: int) -> str:
        if not has(found, name, depth):
            return ""
        return f"{mean(one.series[name][depth].perplexity for one in found):.2f}"

    return [_row(name, [cell(name, depth) for depth in depths]) for name in SHOWN]


def _against_own(found: Sequence[Found], depths: Sequence[int]) -> str:
    """Who wins in perplexity: the family's member, or the student distilled for that size."""
    said = []
    for depth in depths:
        if has(found, APART, depth):
            own, auto = (
                mean(one.series[name][depth].perplexity for one in found) for name in (APART, AUTO)
            )
            which = "wins" if own < auto else "does not win"
            said.append(f"at {depth} layers it {which} ({own:.2f} against {auto:.2f})")
    if not said:
        return ""
    return f"\n\nIn perplexity a student distilled for the size: {'; '.join(said)}."


def _differences(found: Sequence[Found], depths: Sequence[int]) -> str:
    """KL of `auto` minus that of each other: below zero, `auto` is better."""

    def cell(name: str, depth: int) -> str:
        if not has(found, name, depth):
            return ""
        text = difference(found, name, depth).signed
        seeds = [difference([one], name, depth).mean for one in found]
        if len(found) > 1:
            text += f" ± {over_runs(seeds):.4f}"
        if len(found) == 1 or name not in (LAST, FIRST, KLPATCH, APART):
            return text
        return f"{text} ({', '.join(f'{seed:+.4f}' for seed in seeds)})"

    rows = [_row(f"− {name}", [cell(name, depth) for depth in depths]) for name in AGAINST]
    head = [
        "| layers | " + " | ".join(map(str, depths)) + " |",
        "|---" + "|--:" * len(depths) + "|",
    ]
    said = (
        "\n\n## `auto` less each of the others\n\n"
        "Difference of KL in nats a token, window by window: below zero, `auto` is better.\n\n"
    )
    return said + "\n".join([*head, *rows]) + "\n"


def _orders(found: Sequence[Found]) -> str:
    lines = [
        "\nWhat was chosen on calibration text (s: student's layer, b: teacher's block, f: its"
    ]
    lines.append("first layer alone), one code for each size:\n")
    for seed, one in enumerate(found):
        for name in (AUTO, KLPATCH, NAIVE_BEST):
            codes = ", ".join(f"`{code}`" for code in one.orders[name][1:-1] or one.orders[name])
            lines.append(f"- seed {seed}, {name}: {codes}")
    return "\n".join(lines) + "\n"


def difference(found: Sequence[Found], name: str, depth: int) -> Estimate:
    """KL of `auto` minus that of another series at one depth."""
    return Estimate.difference(_windows(found, AUTO, depth), _windows(found, name, depth))


def kl(found: Sequence[Found], name: str, depth: int) -> Estimate:
    """KL of one series at one depth."""
    return Estimate.of(_windows(found, name, depth))


def _windows(found: Sequence[Found], name: str, depth: int) -> list[float]:
    return over_seeds([one.series[name][depth].windows for one in found])


def has(found: Sequence[Found], name: str, depth: int) -> bool:
    """Whether every seed has that series at that depth."""
    return all(depth in one.series[name] for one in found)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def costs(found: Mapping[str, Sequence[Cost]], memory: Mapping[str, float], shape: Shape) -> str:
    """What measuring a family costs, as Markdown."""
    rounds = len(next(iter(found.values()))[0].shared)
    lines = [
        "\n## What measuring a whole family costs\n",
        f"Every size of a teacher of {shape.layers} layers, teacher and student included, by",
        f"processor time of one thread; the contenders take turns, medians of {rounds} rounds.",
        "Each by itself: every member through all of its layers, the teacher's distribution kept",
        "for all of them. Arithmetic: the layers that no sharing can save, at the time one takes,",
        "and the ends (embeddings, head, softmax, comparison), which are each member's own.",
        "Layers alone: what the cost would be if the ends were free.\n",
        "| teacher | order | shared walk, s | each by itself, s | shared ÷ each | … by arithmetic "
        "| … of layers alone | shared ÷ arithmetic |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for title, both in found.items():
        for one in both:
            cells = [
                one.order, f"{median(one.shared):.2f}", f"{median(one.apart):.2f}",
                f"{one.by_apart:.2f}", f"{one.expected:.2f}",
                f"{one.of_layers:.2f} ({one.layers_shared} of {one.layers_apart})",
                f"{one.by_arithmetic:.2f}",
            ]  # fmt: skip
            lines.append(_row(title, cells))
    idle = next(iter(memory.values()))
    lines += [
        f"\nPeak memory, each in a process of its own; the teacher of width {shape.width}, "
        f"{shape.batch} windows",
        f"of {shape.length} tokens at a time:\n",
        "| | peak, MB | more than loaded, MB |",
        "|---|--:|--:|",
        *(_row(name, [f"{mb:,.0f}", f"{mb - idle:,.0f}"]) for name, mb in memory.items()),
    ]
    return "\n".join(lines) + "\n"
