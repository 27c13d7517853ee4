"""Numbers and tables as a model card shows them."""

from collections.abc import Sequence


def number(value: float | None) -> str:
    """Four significant digits; nothing where there is none."""
    return "" if value is None else f"{value:.4g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
