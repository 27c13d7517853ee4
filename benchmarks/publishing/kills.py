"""A service that publishes, whose worker is killed at random: is anything half there?

SIGKILL strikes the worker when the Hub has received a random number of requests more, and a random
moment later. What is looked at afterwards is the Hub's: its history and its log of what travelled.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.assembly.models import Shape
from benchmarks.chaos.kills.victims import descendants
from benchmarks.publishing import models
from benchmarks.publishing.checks import Checked, check
from benchmarks.publishing.local_hub import Hub, local_hub
from boomerang.cli.demo.demo import serving
from boomerang.cli.service.asking import is_made
from boomerang.cli.service.client import Service
from boomerang.errors import BoomerangError

SETTINGS = {"BOOMERANG_LEASE_SECONDS": "3", "BOOMERANG_REAP_SECONDS": "0.5"}
"""Shorter than one would have them, so that a run is minutes."""
WORKER = "assemble worker"
MOST_REQUESTS, MOST_SECONDS = 25, 0.3
"""Bounds of what is drawn for each kill: requests that arrive before it, seconds after these."""
POLL_SECONDS = 0.02
KILLS_A_FAMILY = 4
"""A member whose worker was lost five times is given up, and two are published at a time."""
PATIENCE = 900.0
"""Seconds after the last kill, or between two, after which a service counts as stuck."""


@dataclass
class Killed:
    """How a run ended."""

    lane: str
    kills: int = 0
    rounds: int = 0
    seconds: float = 0.0
    found: Checked = field(default_factory=Checked)
    failure: str | None = None


def run(
    folder: Path, lane: str, shape: Shape, number: int, seed: int, say: Callable[[str], None]
) -> Killed:
    """Publish one family after the other until there were `number` kills."""
    draw, began = random.Random(seed), time.monotonic()
    made, home = folder / "models", folder / "home"
    made.mkdir(parents=True)
    home.mkdir()
    with local_hub(folder / "hub") as hub:
        settings = {**SETTINGS, **hub.environment(lane == "xet"), "HF_HOME": str(folder / "cache")}
        done = Killed(lane)
        try:
            with serving(home, made, 0, settings) as (url, parent), Service(url) as service:
                while done.kills < number:
                    done.rounds += 1
                    models.make(made, shape, number=done.rounds)
                    most = min(done.kills + KILLS_A_FAMILY, number)
                    _publish(service, hub, parent, draw, done, most)
                    say(f"{lane}: {done.kills} kills in {done.rounds} families")
        except BoomerangError as error:
            done.failure = str(error)
        done.found = check(hub, made, hub.blobs)
    done.failure = done.failure or done.found.wrong
    done.seconds = time.monotonic() - began
    return done


def _publish(
    service: Service, hub: Hub, parent: int, draw: random.Random, done: Killed, most: int
) -> None:
    """Publish the newest family, and kill until there were so many or all is there."""
    teacher, student = models.names(done.rounds)
    body = {"teacher": teacher, "student": student, "order": "last",
            "publish": {"namespace": "family"}}  # fmt: skip
    id_ = str(service.post("/families", body)["id"])
    until = time.monotonic() + PATIENCE
    strike = hub.requests() + draw.randint(1, MOST_REQUESTS)
    while not _is_published(service.family(id_)):
        if done.kills < most and hub.requests() >= strike:
            time.sleep(draw.uniform(0, MOST_SECONDS))
            done.kills += _kill(parent)
            strike = hub.requests() + draw.randint(1, MOST_REQUESTS)
            until = time.monotonic() + PATIENCE
        if time.monotonic() > until:
            raise TimeoutError(f"the family of {teacher} is not published")
        time.sleep(POLL_SECONDS)


def _is_published(family: dict[str, Any]) -> bool:
    """Raises NotMade for what failed."""
    return is_made(family) and all(want["state"] == "yes" for want in family["wants"])


def _kill(parent: int) -> int:
    """Kill the worker that publishes; how many were killed."""
    for process, kind in descendants(parent).items():
        if kind == WORKER:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                return 0
            return 1
    return 0


def table(runs: list[Killed]) -> str:
    """A row for each lane."""
    rows = [
        "| lane | kills | families | minutes | repositories | commits with files "
        "| tensors compared | weights sent, MB | sent to a whole repository "
        "| in a commit before, MB | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for run in runs:
        found = run.found
        rows.append(
            f"| {run.lane} | {run.kills} | {run.rounds} | {run.seconds / 60:.1f} "
            f"| {found.repositories} | {found.commits} | {found.tensors} "
            f"| {found.travelled / 1e6:.1f} | {found.after} | {found.again / 1e6:.2f} "
            f"| {'all whole and right, always' if run.failure is None else run.failure} |"
        )
    return "\n".join(rows) + "\n"
