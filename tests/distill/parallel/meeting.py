"""Two processes that meet: each prints how its stretches of work ended, and what they sum."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from boomerang.distill.objective.losses import Losses, Mean
from boomerang.distill.parallel import devices
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.launch import joined, leave
from boomerang.distill.parallel.sharding import sum_gradients
from boomerang.processes.reporting import Reporter, Stopped

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


def goes_its_own_way(here: Devices, stops: bool) -> None:
    """The second process leaves a stretch in which the first never asks it for anything."""
    report, passes = Reporter(), 0
    try:
        with here.together(), here.apart(report) as check:
            while here.first or passes < 3:
                check()
                passes += 1
                time.sleep(0.01)
            report.stopping = stops
            check()
            raise MemoryError("no room of its own")
    except Exception as heard:
        say(f"{here.rank}: {type(heard).__name__} {' '.join(heard.args)}".rstrip())
    with here.together(), here.apart(Reporter()) as check:
        # What was called in another stretch is forgotten, and one may have nothing to do.
        for _ in range(0 if here.first else 3):
            check()


def sums(here: Devices) -> None:
    """Gradients that both have, one has, or none; and losses that one alone has."""
    weights = [nn.Parameter(torch.zeros(2, 3)) for _ in range(4)]
    given = ([1.0, 2.0, None, None], [10.0, None, 20.0, None])[here.rank]
    for weight, value in zip(weights, given, strict=True):
        weight.grad = None if value is None else torch.full((2, 3), value)
    sum_gradients(weights, here)
    found = [None if w.grad is None else sorted(set(w.grad.flatten().tolist())) for w in weights]
    losses = Mean()
    if here.first:
        losses.add(Losses(*torch.tensor([4.0, 3.0, 2.0, 1.0])), 0.5)
    say(f"{here.rank}: {found} {losses.over(here).means()}")
    say(f"{here.rank}: {here.least(3 - here.rank)}")


with joined() as here:
    falls(here, ValueError("a bug"))
    falls(here, MemoryError("no room"))
    one_after_the_other(here, Path(sys.argv[1]) / "made")
    stops(here)
    goes_its_own_way(here, stops=False)
    goes_its_own_way(here, stops=True)
    sums(here)
leave(0)
