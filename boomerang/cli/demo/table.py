"""What the demo found: the table, the lines of text, and what can be said of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from boomerang.cli.show import BLOCKS, number, table
from boomerang.family.composition import bar, legend

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
            *(
                "–" if at == last or member[key] is None else f"{member[key]:.{digits}f}"
                for key, digits in (("naive_perplexity", 2), ("naive_kl", 4))
            ),
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
        _beats("perplexity", "perplexity", members),
        _beats("KL", "kl", members),
        _agree(members, seen),
    ]


def _falls(what: str, sizes: Sequence[str], values: Sequence[float]) -> str:
    steps = zip(sizes, sizes[1:], values, values[1:], strict=False)
    rises = [f"{a} → {b} ({number(x)} → {number(y)})" for a, b, x, y in steps if not y < x]
    if not rises:
        return f"{what} falls at every step from student to teacher."
    return f"{what} does NOT fall at {len(rises)} of {len(sizes) - 1} steps: {'; '.join(rises)}."


def _beats(name: str, measure: str, members: Sequence[Mapping[str, Any]]) -> str:
    # As the service measured both, on the same tokens. Nothing is pruned of the teacher.
    pairs = [(m["size"], m[measure], m[f"naive_{measure}"]) for m in members[:-1]]
    unknown = sum(own is None or naive is None for _, own, naive in pairs)
    if unknown:
        return f"In {name}, {unknown} sizes were not compared with naive pruning."
    lost = [f"{m} ({number(x)} against {number(y)})" for m, x, y in pairs if not x < y]
    if not lost:
        return f"In {name}, every size below the teacher is better than naive pruning."
    return f"In {name}, NOT better than naive pruning: {'; '.join(lost)}."


def _agree(members: Sequence[Mapping[str, Any]], seen: Seen) -> str:
    apart = [
        abs(of[key] - member[key])
        for member, of in zip(members, seen, strict=True)
        for key in ("perplexity", "kl")
        if member[key] is not None
    ]
    if not apart:
        return "The service measured nothing to compare these figures with."
    said = "Measured on the models as loaded; the service's own figures are at most"
    return f"{said} {max(apart):.1g} from these."
