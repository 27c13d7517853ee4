"""`python -m benchmarks.chaos.kills`: processes of `boomerang serve` killed, and nothing lost.

For each seed a service distils and measures a family of a toy, while SIGKILL strikes its children
(trainer, measurer, workers, front end, queue) at times drawn over the whole run. In the end the
student must be ready and distilled once, what was asked for built, every member measured and
downloaded whole. Exits with 1 where one seed fails.
"""

import argparse
import random
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos.kills import toy
from benchmarks.chaos.kills.victims import kill_one
from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.table import Checkpoint
from boomerang.cli.demo.demo import serving
from boomerang.cli.service.asking import is_made
from boomerang.cli.service.client import Service
from boomerang.errors import BoomerangError

RECIPE: dict[str, Any] = {
    "batch_tokens": 256, "sequence_length": 64, "micro_batch": 4, "learning_rate": 2e-3,
    "patch_probability": 0.5,
}  # fmt: skip
SETTINGS = {
    "BOOMERANG_LEASE_SECONDS": "3",
    "BOOMERANG_REAP_SECONDS": "0.5",
    "BOOMERANG_CHECKPOINT_SECONDS": "2",
}
"""Shorter than one would have them, so that a run is minutes."""
POLL_SECONDS = 0.3
MEASURING = 0.3
"""The part of the kills that are kept for the measuring."""


@dataclass
class Plan:
    """When to kill: at which share of steps or of measuring, and how many seconds later."""

    draw: random.Random
    left: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, kills: int, seconds: float) -> "Plan":
        """Draw the times; `seconds` are about those that measuring takes."""
        draw = random.Random(seed)
        shares = sorted(draw.random() for _ in range(kills))
        return cls(draw, [(share, draw.uniform(0, seconds)) for share in shares])


@dataclass
class Run:
    """What happened in one run."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    starts: int = 0
    failure: str | None = None

    def line(self) -> str:
        """One line of text."""
        killed = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        end = "all there" if self.failure is None else f"FAILED: {self.failure}"
        return (
            f"seed {self.seed}: {self.kills.total()} kills ({killed}), the trainer began "
            f"{self.starts} times, {self.seconds:.0f} s: {end}"
        )


def run(seed: int, kills: int, steps: int, home: Path, models: Path) -> Run:
    """One family from the request to its last byte, with so many kills on the way."""
    done, began = Run(seed), time.monotonic()
    with ExitStack() as stack:
        url, parent = stack.enter_context(serving(home, models, 0, SETTINGS))
        service = stack.enter_context(Service(url))
        try:
            family = _made(service, parent, Plan.of(seed, kills, 8.0), steps, done)
            _check(service, family, home)
        except BoomerangError as error:
            done.failure = str(error)
        except AssertionError as error:
            done.failure = str(error) or "what was made is not what was asked for"
    done.starts = _starts(home)
    done.seconds = time.monotonic() - began
    return done


def _made(service: Service, parent: int, plan: Plan, steps: int, done: Run) -> Mapping[str, Any]:
    """Ask for the family and kill as planned until it is made."""
    asked = {
        "teacher": "toy",
        "data": "texts",
        "recipe": {"name": "chaos", "steps": steps, **RECIPE},
        "order": "auto",
        "budget": "1T",
    }
    id_ = str(service.post("/families", asked)["id"])
    strikes: list[float] = []
    while True:
        family = service.family(id_)
        made = is_made(family)
        while plan.left and (made or plan.left[0][0] <= _share(family)):
            strikes.append(time.monotonic() + plan.left.pop(0)[1])
        for at in [at for at in strikes if made or at <= time.monotonic()]:
            strikes.remove(at)
            kind = kill_one(parent, plan.draw)
            if kind is not None:
                done.kills[kind] += 1
                print(f"  {kind} killed, {_where(family)}", flush=True)
        if made and not strikes:
            return service.family(id_)
        time.sleep(POLL_SECONDS)


def _share(family: Mapping[str, Any]) -> float:
    """How far a family is: the steps are the first part of it, measuring the rest."""
    student = family["student"]
    if student["state"] != "ready":
        return (1 - MEASURING) * student["step"] / max(student["steps"], 1)
    return 1.0 if family["measuring"] != "no" else 1 - MEASURING


def _where(family: Mapping[str, Any]) -> str:
    student = family["student"]
    return (
        f"student {student['state']} at step {student['step']} of {student['steps']}, "
        f"measuring {family['measuring']}"
    )


def _check(service: Service, family: Mapping[str, Any], home: Path) -> None:
    """Hold the promises. Raises AssertionError, or what the service says instead."""
    family = service.family(str(family["id"]))
    assert is_made(family), "a kill after its end unmade the family"
    assert family["measuring"] == "yes", f"measuring is {family['measuring']}"
    for member in family["members"]:
        size = member["size"]
        assert member["measured"] == "yes", f"{size} is not measured"
        assert member["perplexity"] is not None, f"{size} has no figures"
        _download(service, member, home / "downloads")
    assert all(request["state"] == "yes" for request in family["wants"]), "a request is open"
    catalog = Catalog(f"sqlite:///{home / 'catalog.sqlite'}")
    try:
        ready = [
            event for event in catalog.events_after(0, limit=10**6)
            if event.kind == "student" and event.payload["state"] == "ready"
        ]  # fmt: skip
    finally:
        catalog.close()
    assert len(ready) == 1, f"the student was made {len(ready)} times"
    students = [path.name for path in (home / "students").iterdir()]
    assert students == [family["student"]["key"]], f"students: {students}"


def _download(service: Service, member: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    to = folder / f"{member['size']}.tar"
    service.download(str(member["url"]), to, lambda *_: None)
    with tarfile.open(to) as tar:
        top = tar.getnames()[0].split("/")[0]
        tar.extractall(folder, filter="data")
    stored = Checkpoint.open(folder / top).parameters
    assert stored == member["parameters"], f"{member['size']} came with {stored} parameters"


def _starts(home: Path) -> int:
    """How often the trainer began or went on."""
    catalog = Catalog(f"sqlite:///{home / 'catalog.sqlite'}")
    try:
        return sum(event.kind == "estimate" for event in catalog.events_after(0, limit=10**6))
    finally:
        catalog.close()


def main() -> int:
    """Run the seeds one after another and say how each ended."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.kills", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="boomerang-chaos-") as folder:
        models = Path(folder, "models")
        toy.make(models)
        for seed in range(options.first, options.first + options.seeds):
            home = Path(folder, f"home{seed}")
            home.mkdir()
            done = run(seed, options.kills, options.steps, home, models)
            print(done.line(), flush=True)
            if done.failure is not None:
                failed += 1
                for log in sorted(home.rglob("*.log")):
                    print(f"--- {log.relative_to(home)}", *_tail(log), sep="\n", flush=True)
    return 1 if failed else 0


def _tail(log: Path) -> list[str]:
    return log.read_text("utf-8", errors="replace").splitlines()[-40:]


if __name__ == "__main__":
    sys.exit(main())
