"""A team's day in minutes: families of several keys, many workers, training replaced by a sleep.

All is asked for before the workers begin, in the catalog and by a message, as the front end does.
Celery, Valkey and PostgreSQL are real, and so is all that workers do but training. A worker is a
thread of a process, as 50 processes need more memory than a machine for tests has.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.scale import server
from boomerang.catalog.records.families import NewFamily
from boomerang.catalog.records.students import NewStudent
from boomerang.catalog.tables import EventRow, FamilyRow, StudentRow
from boomerang.checkpoint.table import Checkpoint
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.models.pairs import folder_commit
from boomerang.service.running.parts import environment, worker_command
from tests.workers.conftest import KEPT, LAYERS, ROOT, Backend

TRAINER = Path(__file__).with_name("trainer.sh")
GREEDY, OTHERS = "greedy", ("ann", "bob", "cy")
LOOK_SECONDS = 1.0


def options(parser: Any) -> None:
    """What can be asked of this part."""
    parser.add_argument("--asked", type=int, default=1000, help="families")
    parser.add_argument("--workers", type=int, default=50, help="threads of five processes")
    parser.add_argument("--training", type=float, default=2, help="seconds of each sleep")
    parser.add_argument("--most", type=float, default=1200, help="seconds until this is given up")


def measure(asked: argparse.Namespace) -> bool:
    """Have all distilled; say how fast, how fair, at what cost. Whether all were, once each."""
    with (
        tempfile.TemporaryDirectory(prefix="boomerang-scale-") as made,
        server.running() as base,
        _Team(Path(made), base, asked) as team,
    ):
        intake = team.ask()
        base.begin_statements()
        team.start()
        with base.watched() as load:
            took = team.wait()
        found = team.found()
        done = asked.asked - found["left"]
        ideal = asked.asked * asked.training / asked.workers
        print(f"{asked.asked} families, {asked.workers} workers in five processes, "
              f"{asked.training:g} s of sleep: {took:.0f} s, {done / took:.1f} settled a second "
              f"(sleep alone: {ideal:.0f} s); not ready: {found['left']}, distilled more than "
              f"once: {found['twice']}")  # fmt: skip
        print(f"  asked for at {asked.asked / intake:.0f} a second, before there were workers")
        print(f"  PostgreSQL: {load[0].transactions:.0f} transactions a second, "
              f"{100 * load[0].cpu:.0f} % of a core, {base.size() / 1e6:.0f} MB; "
              f"{found['events']} events")  # fmt: skip
        for who, (count, half, high, share) in found["waits"].items():
            print(f"  {who}: {count} families, waited {half:.1f} s "
                  f"(99 %: {high:.1f}); {100 * share:.0f} % of what began while all "
                  "waited")  # fmt: skip
        for seconds, calls, each, words in base.statements():
            print(f"    {seconds:6.2f} s, {calls} calls of {each:.2f} ms: {words[:150]}")
    return not found["left"] and not found["twice"]


class _Team(Backend):
    """A back end with many workers; a family for each request, of four keys."""

    def __init__(self, home: Path, base: server.Server, asked: argparse.Namespace) -> None:
        super().__init__(
            home, database_url=base.database, lease_seconds=30.0, reap_seconds=5.0,
            stop_seconds=10.0, trainer=("/bin/sh", str(TRAINER), str(asked.training)),
        )  # fmt: skip
        self._asked, self.began = asked, 0.0

    def __enter__(self) -> "_Team":
        return self

    def start(self) -> None:
        """Begin with all workers at once; what waits is in the queue."""
        names = [f"distill{at}" for at in range(5)]
        each = self._asked.workers // len(names)
        children = [self._child(name, "distill", each) for name in names]
        children.append(self._child("rest", "measure,assemble,publish", 4))
        for child in children:
            child.start()
            self.children.append(child)
        for child in children:
            assert child.wait_until_healthy(180, threading.Event()), child.log.read_text()
        self.began = time.time()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _child(self, name: str, queues: str, concurrency: int) -> Daemon:
        found = environment(self.settings)
        found["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
        arguments = worker_command(name, tuple(queues.split(",")), concurrency, "WARNING")
        log = self.settings.logs / f"{name}.log"
        return Daemon(name=name, arguments=arguments, log=log, environment=found, ready_line=READY)

    def ask(self) -> float:
        """The greedy key asks for seven tenths of all, then the others for a tenth each."""
        began = time.monotonic()
        teacher = str(self.models / "teacher")
        commit = folder_commit(self.catalog, Checkpoint.open(self.models / "teacher"))
        few = self._asked.asked // 10
        owners = [GREEDY] * (self._asked.asked - few * len(OTHERS))
        owners += [who for _ in range(few) for who in OTHERS]
        for at, owner in enumerate(owners):
            key = f"{at:032x}"
            family = NewFamily(
                name="teacher", teacher="teacher", revision=None, commit=commit, source=teacher,
                student=key, order="last",
            )  # fmt: skip
            student = NewStudent(
                key=key, teacher="teacher", teacher_commit=commit, teacher_source=teacher,
                kept=KEPT, layers=LAYERS, recipe={"fake": "sleep"}, seed=at,
            )  # fmt: skip
            self.producer.start(self.catalog.create_family(family, student, (), owner=owner))
        return time.monotonic() - began

    def wait(self) -> float:
        """Seconds until all are ready and settled, or it is given up."""
        began = time.monotonic()
        while (took := time.monotonic() - began) < self._asked.most:
            time.sleep(LOOK_SECONDS)
            with self.catalog.db.read() as session:
                done = session.scalar(select(func.count()).where(FamilyRow.settled.is_(True)))
            if done == self._asked.asked:
                break
        return took

    def found(self) -> dict[str, Any]:
        """How long each key's families waited, and what went wrong."""
        with self.catalog.db.read() as session:
            times = select(StudentRow.owner, StudentRow.created, StudentRow.started)
            rows = sorted(session.execute(times).all(), key=lambda row: row.started or 1e99)
            left = session.scalar(select(func.count()).where(FamilyRow.settled.is_(False)))
            events = session.scalar(select(func.count()).select_from(EventRow))
        begun = [row for row in rows if row.started is not None]
        # While every key has something that waits: until the first has begun its last.
        last = {row.owner: row.started for row in begun}
        meanwhile = [row for row in begun if row.started <= min(last.values())]
        waits = {}
        for who in (GREEDY, *OTHERS):
            mine = sorted(row.started - self.began for row in begun if row.owner == who)
            share = sum(r.owner == who for r in meanwhile) / max(1, len(meanwhile))
            waits[who] = len(mine), statistics.median(mine), mine[int(0.99 * len(mine))], share
        twice = sum(len(self.trainers(f"{at:032x}")) > 1 for at in range(self._asked.asked))
        return {"left": left, "events": events, "waits": waits, "twice": twice}
