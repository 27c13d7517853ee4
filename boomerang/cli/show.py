"""What the command line prints: JSON, tables and bars. Bars go to stderr, results to stdout."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from boomerang.family.picture import bar, legend, order_in_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


BLOCKS = "blocks"
"""Head of the column that shows members as bars."""

LINE_EVERY = 15.0
"""Seconds between two lines that stand for a bar where there is no terminal."""


class Bar:
    """A progress bar; `size` shows bytes. Where stderr is no terminal: a line now and then."""

    def __init__(self, title: str, *, size: bool = False) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        note = TextColumn("{task.fields[note]}", markup=False)
        columns = [DownloadColumn(), TransferSpeedColumn()] if size else [note]
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *columns,
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=None, note="")
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, title: str) -> None:
        """What is going on now."""
        self._update(description=title)

    def count(self, done: int, total: int) -> None:
        """So many of so many."""
        self._update(completed=done, total=total, note=f"{done}/{total}")

    def steps(self, at: Mapping[str, Any]) -> None:
        """The state of a distillation: `step`, `steps`, `loss`, `eta_s`."""
        step, steps = at.get("step") or 0, at.get("steps")
        loss = at.get("loss")
        parts = [f"step {step}/{steps}" if steps else f"step {step}"]
        if loss is not None:
            parts.append(f"loss {loss:.3f}")
        if at.get("eta_s") is not None:
            parts.append(f"{duration(at['eta_s'])} left")
        self._update(completed=step, total=steps, note="  ".join(parts))

    def _update(self, **fields: Any) -> None:
        self._progress.update(self._task, **fields)
        if not sys.stderr.isatty() and time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            task = self._progress.tasks[0]
            sys.stderr.write(f"{task.description}  {task.fields['note']}".rstrip() + "\n")
            sys.stderr.flush()


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


def duration(seconds: float) -> str:
    """Seconds as people write them: `45 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


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


def terminal() -> "Console":
    """Where results are printed: text as it is, no markup read into it."""
    from rich.console import Console

    # Columns are whole in a file or a pipe, however many there are.
    width = None if sys.stdout.isatty() else 160
    return Console(markup=False, highlight=False, width=width)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """A plain table; the first column and bars are on the left, the others on the right.

    Where there is little room, bars go over several lines.
    """
    from rich import box
    from rich.table import Table

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
    from rich.console import Group

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
    from rich.console import Group

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
    from rich.console import Group

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
