"""What the demo found: the table, the lines of text, and what can be said of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from boomerang.cli.show import BLOCKS, number, table
from boomerang.family.picture import bar, legend

Seen = Sequence[Mapping[str, Any]]
"""What boomerang.quality.from_hub printed, one for each member, smallest first."""


def measures_table(family: Mapping[str, Any], seen: Seen) -> Table:
    """Every size beside naive pruning to the same depth, of which the teacher has none.

    Naive figures are the service's own, on the same tokens.
    """
    last = len(seen) - 1
    rows = [
        (
            str(member["size"]),
            bar(member["code"]),
            str(of["layers"]),
            f"{of['parameters']:,}",
            f"{of['perplexity']:.2f}",
            f"{of['kl']:.4f}",
            "–" if at == last else _figure(member["naive_perplexity"], 2),
            "–" if at == last else _figure(member["naive_kl"], 4),
        )
        for at, (member, of) in enumerate(zip(family["members"], seen, strict=True))
    ]
    columns = ("size", BLOCKS, "layers", "parameters", "perplexity", "KL to teacher",
               "naive: perplexity", "naive: KL")  # fmt: skip
    return table(columns, rows)


def explanation(family: Mapping[str, Any]) -> list[str]:
    """What the table's squares and columns are."""
    return [
        legend(bar(member["code"]) for member in family["members"]),
        "Less is better. Perplexity: among how many tokens it hesitates at each place. KL: how",
        "far its guesses are from the teacher's, in nats a token. Naive: as many of the teacher's",
        "own layers, without distillation.",
    ]


def lines_of_text(family: Mapping[str, Any], seen: Seen) -> Table:
    """What each size wrote after the same prompt with the same seed."""
    found = Table(box=box.SIMPLE_HEAD)
    found.add_column("size", no_wrap=True)
    found.add_column("what it writes")
    for member, of in zip(family["members"], seen, strict=True):
        found.add_row(str(member["size"]), str(of["text"]))
    return found


def findings(family: Mapping[str, Any], seen: Seen) -> list[str]:
    """What the figures say, computed from them: falling or not, better than naive or not."""
    members = family["members"]
    sizes = [str(member["size"]) for member in members]
    return [
        _falls("Perplexity", sizes, [of["perplexity"] for of in seen]),
        _falls("KL to the teacher", sizes, [of["kl"] for of in seen]),
        _beats("perplexity", members),
        _beats("kl", members),
        _agree(members, seen),
    ]


def _falls(what: str, sizes: Sequence[str], values: Sequence[float]) -> str:
    rises = [
        f"{a} → {b} ({number(x)} → {number(y)})"
        for a, b, x, y in zip(sizes, sizes[1:], values, values[1:], strict=False)
        if not y < x
    ]
    if not rises:
        return f"{what} falls at every step from student to teacher."
    return f"{what} does NOT fall at {len(rises)} of {len(sizes) - 1} steps: {'; '.join(rises)}."


def _beats(measure: str, members: Sequence[Mapping[str, Any]]) -> str:
    """Members and naive pruning as the service measured them: on the same tokens.

    The teacher is left out: nothing is pruned of it.
    """
    name = "KL" if measure == "kl" else measure
    known = [
        m for m in members[:-1] if m[measure] is not None and m[f"naive_{measure}"] is not None
    ]
    lost = [
        f"{m['size']} ({number(m[measure])} against {number(m[f'naive_{measure}'])})"
        for m in known
        if not m[measure] < m[f"naive_{measure}"]
    ]
    unknown = len(members) - 1 - len(known)
    if unknown:
        return f"In {name}, {unknown} sizes were not compared with naive pruning."
    if not lost:
        return f"In {name}, every size below the teacher is better than naive pruning."
    return f"In {name}, NOT better than naive pruning: {'; '.join(lost)}."


def _agree(members: Sequence[Mapping[str, Any]], seen: Seen) -> str:
    """How far the service's figures are from those of the loaded models, at most."""
    apart = [
        abs(of[key] - member[key])
        for member, of in zip(members, seen, strict=True)
        for key in ("perplexity", "kl")
        if member[key] is not None
    ]
    if not apart:
        return "The service measured nothing to compare these figures with."
    return (
        "Measured on the models as loaded; the service's own figures are at most "
        f"{max(apart):.1g} from these."
    )


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
