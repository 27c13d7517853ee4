"""What the command line prints: JSON and tables."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table

from boomerang.cli.progress import duration
from boomerang.family.picture import bar, legend, order_in_words

BLOCKS = "blocks"
"""Head of the column that shows members as bars."""


def distilled_view(record: Mapping[str, Any]) -> str:
    """A student that was trained."""
    final = ", ".join(f"{name} {value:.4g}" for name, value in record["final"].items())
    took = duration(record["seconds"])
    return f"{record['out']}: {record['steps']} steps in {took}; held out: {final}"


def transfer_view(record: Mapping[str, Any]) -> str:
    """A student that was made from the student of its base."""
    delta = record["delta"]
    cosine = "unknown" if delta["cosine"] is None else f"{delta['cosine']:.2f}"
    lines = [
        f"{record['out']}: from the student of {delta['base']}",
        f"What distilling changed points the same way in both (cosine): {cosine}",
        f"How far the teacher is from that base, as a part of its weights: {delta['drift']:.3f}",
    ]
    return "\n".join([*lines, f"warning: {delta['warning']}"] if delta["warning"] else lines)


def emit(value: object, as_json: bool, show: Any = None) -> None:
    """Print a value as JSON, or by `show(value)`, which returns text or a rich renderable."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
        return
    shown = value if show is None else show(value)
    if isinstance(shown, str):
        sys.stdout.write(shown + "\n")
        return
    terminal().print(shown)


def terminal() -> Console:
    """Where results are printed: text as it is, no markup read into it."""
    # Columns are whole in a file or a pipe, however many there are.
    width = None if sys.stdout.isatty() else 160
    return Console(markup=False, highlight=False, width=width)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table; the first column and bars are on the left, the others on the right.

    Where there is little room, bars go over several lines.
    """
    found = Table(box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        if column == BLOCKS:
            found.add_column(column, overflow="fold")
        else:
            found.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        found.add_row(*row)
    return found


def number(value: float | None) -> str:
    """Four significant digits; a dash for what is not known."""
    return "–" if value is None else f"{value:.4g}"


def plan_view(plan: Mapping[str, Any]) -> Any:
    """The ladder of a plan, and what the budget buys."""
    bars = [bar(m["code"]) for m in plan["members"]]
    rows = [
        (
            m["size"],
            blocks,
            str(m["layers"]),
            f"{m['parameters']:,}",
            f"{m['bytes'] / 1e9:.3f}" if m["bytes"] >= 1e7 else f"{m['bytes'] / 1e9:.6f}",
            "yes" if m["tied"] else "no",
        )
        for m, blocks in zip(plan["members"], bars, strict=True)
    ]
    title = f"{plan['teacher']}: {len(rows)} sizes"
    shown = table(("size", BLOCKS, "layers", "parameters", "GB", "tied"), rows)
    bought = plan["budget"]
    lines = [order_line(plan["order"]), legend(bars), *([budget_line(bought)] if bought else [])]
    return Group(title, shown, *lines)


def order_line(order: str) -> str:
    """What a patch order does, in a sentence."""
    return f"The order in which blocks are put back: {order_in_words(order)}."


def budget_line(bought: Mapping[str, Any]) -> str:
    """What a budget buys, in a sentence."""
    below = bought["below_by"]
    how = f"{below:,} below it" if below else "exactly"
    return f"{bought['asked']} buys {bought['size']}: {bought['parameters']:,} parameters, {how}."


def measures_view(found: Mapping[str, Any]) -> Any:
    """The members of a measuring."""
    bars = [bar(m["code"]) for m in found["members"]]
    rows = [
        (
            m["size"] or "–",
            blocks,
            str(m["layers"]),
            *(number(m[key]) for key in ("perplexity", "kl", "naive_perplexity", "naive_kl")),
            " ".join(m["flags"]),
        )
        for m, blocks in zip(found["members"], bars, strict=True)
    ]
    columns = (
        "size",
        BLOCKS,
        "layers",
        "perplexity",
        "KL",
        "naive perplexity",
        "naive KL",
        "not good because",
    )
    tasks = [task for m in found["members"] for task in _task_rows(m)]
    shown = [table(("task", "size", "metric", "value", "±", "examples"), tasks)] if tasks else []
    lines = [order_line(found["order"]), legend(bars), *([found["note"]] if found["note"] else [])]
    return Group(table(columns, rows), *lines, *shown)


def _task_rows(member: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One row for each figure of a member's tasks, or for the reason why there is none."""
    rows: list[tuple[str, ...]] = []
    size = member["size"] or "–"
    for task in member.get("tasks") or ():
        if task["failed"]:
            rows.append((task["name"], size, f"failed: {task['failed']}", "", "", ""))
        for one in task["metrics"]:
            kind = one["metric"] if one["filter"] == "none" else f"{one['metric']} {one['filter']}"
            error, count = number(one["stderr"]), str(one["samples"] or "")
            rows.append((one["task"], size, kind, number(one["value"]), error, count))
    return rows


def family_view(family: Mapping[str, Any]) -> Any:
    """A family of the service: how far it is, and its sizes."""
    student = family["student"]
    bars = [bar(m["code"]) for m in family["members"]]
    rows = [
        (
            m["size"],
            blocks,
            str(m["layers"]),
            f"{m['parameters']:,}",
            *(number(m[key]) for key in ("perplexity", "kl", "naive_perplexity", "naive_kl")),
            str(m["built"]),
            str(m.get("repo") or m["published"]),
        )
        for m, blocks in zip(family["members"], bars, strict=True)
    ]
    columns = (
        "size", BLOCKS, "layers", "parameters", "perplexity", "KL", "naive perplexity", "naive KL",
        "built", "published",
    )  # fmt: skip
    title = f"{family['id']}  {family['teacher']}: the student is {student['state']}"
    order, bought = family.get("chosen") or family["order"], family.get("budget")
    lines = [order_line(order), legend(bars), *([budget_line(bought)] if bought else [])]
    return Group(title, table(columns, rows), *lines)


def rebuilt_view(done: Mapping[str, Any]) -> str:
    """One line for each family that was rebuilt."""
    lines = [f"{one['id']}: {one['error'] or one['state']}" for one in done["families"]]
    return "\n".join(lines) or "There is no family."
