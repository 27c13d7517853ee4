"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

LINE_EVERY = 15.0
"""Seconds between two lines that stand for a bar where there is no terminal."""

EVERY = 0.2
"""Seconds between two looks at a folder."""


class Bar:
    """A progress bar; `size` shows bytes. Where stderr is no terminal: a line now and then."""

    def __init__(self, title: str, *, size: bool = False) -> None:
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

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, title: str) -> None:
        """What is going on now."""
        self._update(description=title)

    def part(self, title: str) -> None:
        """Another part of the work has begun, whose figures are said as soon as there are some."""
        if self._progress.tasks[0].description != title:
            self._update(description=title, completed=0, total=None, note="")
            self._said = -LINE_EVERY

    def left(self, done: float, total: float, note: str, eta_s: float | None) -> None:
        """So much of so much, as `note` says it, and how many seconds the rest will take."""
        parts = [note] if eta_s is None else [note, f"{duration(eta_s)} left"]
        self._update(completed=done, total=total, note="  ".join(parts))

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

    def fetched(self, at: Mapping[str, Any]) -> None:
        """How much of a model has come from the Hub: `name`, `done`, `of` (bytes)."""
        self.say(f"fetching {at['name']}, MB")
        self.count(at["done"] // 10**6, at["of"] // 10**6)

    def _update(self, **fields: Any) -> None:
        self._progress.update(self._task, **fields)
        if not sys.stderr.isatty() and time.monotonic() - self._said >= LINE_EVERY:
            self._said = time.monotonic()
            task = self._progress.tasks[0]
            sys.stderr.write(f"{task.description}  {task.fields['note']}".rstrip() + "\n")
            sys.stderr.flush()


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what is to be called with done and total; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with ExitStack() as stack:
        bars: list[Bar] = []

        def count(done: int, total: int) -> None:
            # Not before there is something to count: a folder's headers are there at once.
            if not bars:
                bars.append(stack.enter_context(Bar(title)))
            bars[0].count(done, total)

        yield count


@contextmanager
def growing(title: str, folder: Path, total: int) -> Iterator[None]:
    """Show how many of `total` bytes lie in a folder, while something writes there."""
    if not sys.stderr.isatty():
        yield
        return
    done = Event()
    with Bar(title, size=True) as bar:

        def look() -> None:
            while not done.wait(EVERY):
                bar.count(min(bytes_in(folder), total), total)

        thread = Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
            bar.count(total, total)
        finally:
            done.set()
            thread.join()


def bytes_in(folder: Path) -> int:
    """Bytes of all files below a folder; one that goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def duration(seconds: float) -> str:
    """Seconds as people write them: `45 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
