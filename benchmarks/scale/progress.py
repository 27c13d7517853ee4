"""Trainers that report many steps a second to one PostgreSQL: what is written, what it costs.

Each process is a worker with several trainers, which hold a lease and tell of their steps as those
of a worker do; only what takes the steps is not there. Another writer changes the catalog
meanwhile.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from benchmarks.scale import server
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.tables import EventRow, StudentRow
from boomerang.service.jobs import Producer
from boomerang.service.settings import Settings
from tests.catalog.conftest import new_family, new_student, rungs
from workers.context import Context
from workers.leases import holding
from workers.training.trainer import Progress

MODES = {
    "alone": "each step a transaction of its own",
    "every": "in batches, every step an event",
    "thinned": "in batches, one event a second of each",
}


class Every(Progress):
    """Tells the event stream of every step."""

    def _due(self) -> bool:
        return True


def options(parser: Any) -> None:
    """What can be asked of this part."""
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--trainers", type=int, default=10, help="of each process")
    parser.add_argument("--rate", type=float, default=20, help="steps a second of each trainer")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--lease", type=float, default=30, help="seconds that a lease lasts")


def measure(asked: argparse.Namespace) -> bool:
    """Each way of writing in turn; whether the one in use kept every lease and its goal."""
    seconds = asked.seconds or 60
    trainers = asked.processes * asked.trainers
    print(f"{trainers} trainers in {asked.processes} processes, {asked.rate:g} steps a second of "
          f"each, leases of {asked.lease:g} s")  # fmt: skip
    fine = False
    lengths = {"alone": seconds / 3, "every": seconds / 2, "thinned": seconds}
    for mode, length in ((mode, lengths[mode]) for mode in asked.modes):
        with server.running() as base:
            found = _run(base, mode, length, asked)
        print(f"  {MODES[mode]}, {length:.0f} s: {found['taken']:.0f} steps a second taken, "
              f"{found['events']:.0f} events a second, {found['transactions']:.0f} transactions a "
              f"second, PostgreSQL {100 * found['cpu']:.0f} % of a core;\n"
              f"    newest step seen after {found['age']:.2f} s (99 %: {found['oldest']:.2f}), "
              f"another writer waits {found['wait']:.0f} ms (99 %: {found['longest']:.0f}), "
              f"leases lost: {found['lost']}", flush=True)  # fmt: skip
        fine = found["lost"] == 0 and found["taken"] >= 0.98 * trainers * asked.rate
    return fine


def _run(base: server.Server, mode: str, seconds: float, asked: argparse.Namespace) -> Any:
    catalog = Catalog(base.database)
    keys = [f"{at:032x}" for at in range(asked.processes * asked.trainers + 1)]
    for key in keys:
        catalog.create_family(new_family(key), new_student(key), rungs())
        catalog.set_student_state(key, StudentState.DISTILLING)
    told = {"url": base.database, "mode": mode, "seconds": seconds, "rate": asked.rate,
            "lease": asked.lease}  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale.progress",
             json.dumps(told | {"keys": keys[at :: asked.processes][: asked.trainers]})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for at in range(asked.processes)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    before, other = catalog.last_event(), _Other(catalog, keys)
    with base.watched() as load:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        other.start()
        said = [json.loads(worker.stdout.read()) for worker in workers if worker.stdout]
        other.stop()
    with catalog.db.read() as session:
        count = select(func.count()).where(EventRow.id > before, EventRow.kind == "progress")
        events = session.scalar(count) or 0
    catalog.close()
    took = max(one["seconds"] for one in said)
    return {
        "taken": sum(one["taken"] for one in said) / took, "events": events / took,
        "transactions": load[0].transactions, "cpu": load[0].cpu,
        "lost": sum(one["lost"] for one in said), **other.found(),
    }  # fmt: skip


class _Other(threading.Thread):
    """Another writer, and somebody who looks how far all are."""

    def __init__(self, catalog: Catalog, keys: list[str]) -> None:
        super().__init__()
        self._catalog, self._keys, self._over = catalog, keys, threading.Event()
        self._waits: list[float] = []
        self._ages: list[float] = []

    def run(self) -> None:
        while not self._over.wait(0.1):
            began = time.perf_counter()
            self._catalog.student_note(self._keys[-1], "note", {})
            self._waits.append(1000 * (time.perf_counter() - began))
            with self._catalog.db.read() as session:
                # Each step says when it was, as what is left.
                when = session.scalars(select(StudentRow.eta_s).where(StudentRow.step > 0)).all()
                self._ages += [time.time() - at for at in when if at is not None]

    def stop(self) -> None:
        self._over.set()
        self.join()

    def found(self) -> Mapping[str, float]:
        """Seconds until a step is seen; milliseconds that a writer waits."""
        # The beginning, while processes find their pace, is left out.
        ages, waits = (sorted(x[len(x) // 10 :]) for x in (self._ages, self._waits))
        return {
            "age": statistics.median(ages), "oldest": ages[int(0.99 * len(ages))],
            "wait": statistics.median(waits), "longest": waits[int(0.99 * len(waits))],
        }  # fmt: skip


def _worker(told: Mapping[str, Any]) -> None:
    """Be a worker with several trainers: what it took of them, and how many lost their lease."""
    settings = Settings(database_url=told["url"], lease_seconds=told["lease"])
    here = Context(settings, Catalog(told["url"]), Producer("redis://127.0.0.1:1/0"))
    begin, counts = threading.Event(), []
    threads = [
        threading.Thread(target=_trainer, args=(here, told, key, begin, counts))
        for key in told["keys"]
    ]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    began = time.monotonic()
    begin.set()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    said = {"taken": sum(counts), "lost": len(told["keys"]) - len(counts), "seconds": took}
    print(json.dumps(said))


def _trainer(
    here: Context, told: Mapping[str, Any], key: str, begin: threading.Event, counts: list[int]
) -> None:
    catalog, taken, subject = here.catalog, 0, f"student:{key}"
    watching = here.cancels.watching(subject)
    with watching as cancelled, holding(here, subject, cancelled) as held:
        assert held is not None
        progress = (Every if told["mode"] == "every" else Progress)(
            here, catalog.student(key), held
        )
        begin.wait()
        began = time.monotonic()
        while (now := time.monotonic() - began) < told["seconds"] and held.end is None:
            # A trainer does not hurry to make good what it had to wait for.
            time.sleep(max(0.0, (taken + 1) / told["rate"] - now))
            values = {"step": taken + 1, "steps": 10**6, "loss": 2.5, "ce": 2.0, "kl": 0.5}
            values |= {"tokens": 8192 * taken, "tokens_per_s": 9000.0, "eta_s": time.time()}
            if told["mode"] == "alone":
                catalog.student_progress(key, values, lease=held.lease)
            else:
                progress({"event": "step", **values})
            taken += 1
        progress.settle()
        if held.end is None:
            counts.append(taken)


if __name__ == "__main__":
    _worker(json.loads(sys.argv[1]))
