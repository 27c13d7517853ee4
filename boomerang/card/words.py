"""Figures, names, links and tables as Markdown has them."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from boomerang.card.facts import HUB, on_the_hub


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """A table whose last `numbers` columns are set to the right."""
    words = len(head) - numbers
    rule = ["---"] * words + ["---:"] * numbers
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def link(repo_id: str, commit: str | None = None) -> str:
    """A repository of the Hub as a link, at a commit; a local name as it is."""
    if not on_the_hub(repo_id):
        return f"`{repo_id}`"
    return f"[{repo_id}]({HUB}/{repo_id}{f'/tree/{commit}' if commit else ''})"


def count(value: int) -> str:
    """A count with its thousands apart."""
    return f"{value:,}"


def joined(words: Sequence[str]) -> str:
    """Words in a row: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def cell(value: object) -> str:
    """A setting as a table shows it; a pipe would end the cell."""
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
        return "; ".join(", ".join(f"{k} {cell(v)}" for k, v in part.items()) for part in value)
    if isinstance(value, list | tuple) and value:
        return ", ".join(map(cell, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def span(indices: range) -> str:
    """The first and the last of a run: 0–3."""
    return str(indices[0]) if len(indices) == 1 else f"{indices[0]}–{indices[-1]}"


def spans(indices: Sequence[int]) -> str:
    """Indices with runs drawn together: 0–3, 5, 7."""
    parts = []
    for _, run in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        values = [value for _, value in run]
        parts.append(span(range(values[0], values[-1] + 1)))
    return ", ".join(parts)
