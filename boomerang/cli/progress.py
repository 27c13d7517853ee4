"""Progress of long work on a terminal: headers that are read, a folder that is written."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

EVERY = 0.2
"""Seconds between two looks at a folder."""


@contextmanager
def counted(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what is to be called with done and total; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from boomerang.cli.show import Bar

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
    from boomerang.cli.show import Bar

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
