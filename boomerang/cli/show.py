"""What the command line prints: JSON and tables."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table

from boomerang.cli.progress import duration
from boomerang.family.composition import bar, legend
from boomerang.family.order_forms import order_in_words

BLOCKS = "blocks"
"""Head of the column that shows members as bars."""
MEMORY = "GB to run"
"""Head of the column of memory at a context."""
WHY = "not good because"
"""Head of the column that says why a member is not offered as good."""

REASON = "why"
"""Head of the column that says why something is so."""


def distilled_view(record: Mapping[str, Any]) -> str:
    """A student that was trained."""
    final = ", ".join(f"{name} {value:.4g}" for name, value in record["final"].items())
    took = duration(record["seconds"])
    lines = [f"{record['out']}: {record['steps']} steps in {took}; held out: {final}"]
    return "\n".join([*lines, layers_line(record, record.get("map"), record.get("map_reason"))])


def layers_line(of: Mapping[str, Any], rule: str | None, reason: str | None) -> str:
    """Which layers a student keeps, by which rule, and why not those that the rule finds."""
    kept = ", ".join(map(str, of["kept"]))
    how = f" (by {rule})" if rule and not reason else ""
    return f"The student keeps the teacher's layers {kept}{how}." + (f" {reason}" if reason else "")


def healed_view(record: Mapping[str, Any]) -> str:
    """A size that was trained by itself."""
    healed, final = record["healed"], record["final"]
    kl, perplexity = healed["before"]["kl"], math.exp(healed["before"]["ce"])
    return (
        f"{record['out']}: {healed['size']} healed, {record['steps']} steps in "
        f"{duration(record['seconds'])}; on calibration text KL {kl:.4g} before, {final['kl']:.4g} "
        f"after, perplexity {perplexity:.4g} before, {math.exp(final['ce']):.4g} after"
    )


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


def emit(value: object, as_json: bool, show: Any) -> None:
    """Print a value as JSON, or by `show(value)`, which returns text or a rich renderable."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
        return
    shown = show(value)
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

    Where there is little room, bars and sentences go over several lines.
    """
    found = Table(box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        if column == BLOCKS:
            found.add_column(column, overflow="fold")
        elif column in (WHY, REASON):
            found.add_column(column)
        else:
            found.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        found.add_row(*row)
    return found


def number(value: float | None) -> str:
    """Four significant digits; a dash for what is not known."""
    return "–" if value is None else f"{value:.4g}"


def share(value: float | None) -> str:
    """A part of one, in hundredths; a dash for what is not known."""
    return "–" if value is None else f"{value:.1%}"


COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "size": lambda m: m["size"] or "–",
    BLOCKS: lambda m: bar(m["code"]),
    "layers": lambda m: str(m["layers"]),
    "parameters": lambda m: f"{m['parameters']:,}",
    "GB": lambda m: f"{m['bytes'] / 1e9:.{3 if m['bytes'] >= 1e7 else 6}f}",
    MEMORY: lambda m: f"{m['memory']['total'] / 1e9:.{3 if m['memory']['total'] >= 1e7 else 6}f}",
    "tied": lambda m: "yes" if m["tied"] else "no",
    "perplexity": lambda m: number(m["perplexity"]),
    "KL": lambda m: number(m["kl"]),
    "agreement": lambda m: share(m.get("agreement")),
    "naive perplexity": lambda m: number(m["naive_perplexity"]),
    "naive KL": lambda m: number(m["naive_kl"]),
    WHY: lambda m: " ".join(m["flags"]),
    "built": lambda m: str(m["built"]),
    "published": lambda m: str(m.get("repo") or m["published"]),
}
MEASURES = ("perplexity", "KL", "agreement", "naive perplexity", "naive KL")


PROVISIONAL = ", provisional until the layers that the student keeps are measured"


def plan_view(plan: Mapping[str, Any]) -> Group:
    """The ladder of a plan, and what the budget buys."""
    at = plan.get("context")
    columns = ("size", BLOCKS, "layers", "parameters", "GB", *((MEMORY,) if at else ()), "tied")
    title = f"{plan['teacher']}: {len(plan['members'])} sizes"
    if at:
        title += f"; {MEMORY}: an estimate, at {at:,} tokens with {plan['runtime']}"
    if plan["ladder"] == "provisional":
        title += PROVISIONAL
    return Group(title, *_ladder(plan, columns, plan["order"]))


def measures_view(found: Mapping[str, Any]) -> Group:
    """The members of a measuring."""
    columns = ("size", BLOCKS, "layers", *MEASURES, WHY)
    tasks = [task for m in found["members"] for task in _task_rows(m)]
    shown = [table(("task", "size", "metric", "value", "±", "examples"), tasks)] if tasks else []
    note = [found["note"]] if found["note"] else []
    return Group(*_ladder(found, columns, found["order"]), *note, *shown)


def family_view(family: Mapping[str, Any]) -> Group:
    """A family of the service: how far it is, and its sizes."""
    columns = ("size", BLOCKS, "layers", "parameters", *MEASURES, "built", "published")
    title = f"{family['id']}  {family['teacher']}: the student is {family['student']['state']}"
    if family.get("ladder") == "provisional":
        title += PROVISIONAL
    return Group(title, *_ladder(family, columns, family.get("chosen") or family["order"]))


def _ladder(of: Mapping[str, Any], columns: Sequence[str], order: str) -> list[Table | str]:
    """The members of something with these columns, what its order does, what its budget buys."""
    members, bought = of["members"], of.get("budget")
    rows = [[COLUMNS[column](member) for column in columns] for member in members]
    lines = [order_line(order), legend(bar(member["code"]) for member in members)]
    return [table(columns, rows), *lines, *([budget_line(bought)] if bought else [])]


def order_line(order: str) -> str:
    """What a patch order does, in a sentence."""
    return f"The order in which blocks are put back: {order_in_words(order)}."


def budget_line(bought: Mapping[str, Any]) -> str:
    """What a budget buys, in a sentence."""
    below = bought["below_by"]
    how = f"{below:,} below it" if below else "exactly"
    return f"{bought['asked']} buys {bought['size']}: {bought['parameters']:,} parameters, {how}."


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


def rebuilt_view(done: Mapping[str, Any]) -> str:
    """One line for each family that was rebuilt, and what was looked at and found."""
    words = {"no": "asked for", "yes": "whole"}
    lines = []
    for one in done["families"]:
        lines.append(f"{one['id']}: {one['error'] or words.get(one['state'], one['state'])}")
        lines += [f"  {line}" for line in _report(one["report"])] if one["report"] else []
    return "\n".join(lines) or "There is no family."


_FOUND = {"broken": "broken", "mended": "mended", "unseen": "not looked at", "notes": "note"}


def _report(report: Mapping[str, Any]) -> Iterator[str]:
    looked = [f"{what} {number}" for what, number in report["looked"].items() if what != "bytes"]
    yield f"looked at: {', '.join(looked)}; read {report['looked']['bytes']:,} bytes"
    for key, said in _FOUND.items():
        for item in report[key]:
            why = "; ".join(part for part in (item["found"], item["reason"]) if part)
            yield f"{said}: {item['kind']} {item['name']}: {why}"
