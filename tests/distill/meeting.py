"""Two processes that meet: each prints how its stretches of work ended."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from boomerang.distill import devices
from boomerang.distill.devices import Devices, joined, leave
from boomerang.distill.process import Reporter, Stopped

devices._BUSY_SECONDS = 0.0


def say(line: str) -> None:
    """One write, because both processes write to the same pipe."""
    os.write(1, f"{line}\n".encode())


def falls(here: Devices, error: Exception) -> None:
    """The second process falls, while the first one waits for another number."""
    try:
        with here.together():
            if not here.first:
                raise error
            here.now()
    except Exception as heard:
        say(f"{here.rank}: {type(heard).__name__}: {heard.args[0]}")


def one_after_the_other(here: Devices, file: Path) -> None:
    def make(tick: Callable[[], None]) -> str:
        for _ in range(3):
            tick()
            time.sleep(0.02)
        if here.first:
            file.write_text("first")
        return file.read_text() + ", then second"

    say(f"{here.rank}: {here.after_first(make, Reporter())}")


def stops(here: Devices) -> None:
    report = Reporter()
    report.stopping = not here.first
    try:
        here.check(report)
    except Stopped:
        say(f"{here.rank}: stopped")


with joined() as here:
    falls(here, ValueError("a bug"))
    falls(here, MemoryError("no room"))
    one_after_the_other(here, Path(sys.argv[1]) / "made")
    stops(here)
leave(0)
