"""A world around a catalog: a queue that loses and doubles, workers that die, a clock, a disk.

The workers' own functions run, each in a greenlet that stops before every write to the catalog and
wherever something outside is asked (stage.py stands for that): others may come in between there.
"""

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from greenlet import getcurrent, greenlet

from boomerang.catalog.base import Base
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, Keying, Lease, LostLease, StudentState
from boomerang.catalog.tables import LeaseRow
from boomerang.errors import NotFound
from boomerang.service.jobs import (
    Assemble,
    Distill,
    KeyFamily,
    Measure,
    Message,
    Publish,
    Rebuild,
    Settle,
    Sweep,
)
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from workers import assemble, distill, keying, measure, publish, settle
from workers.context import Context
from workers.leases import End, Holding
from workers.models import rebuild

LEASE, PATIENCE, MOST = 30.0, 60.0, 3

How = Literal["on", "stop", "away", "died", "error"]
"""What befalls a worker at its next step."""
REFUSED = "it cannot be"
READS = {
    "student", "students", "family", "families", "members", "member",
    "task_results", "requests", "names", "publication", "referenced", "sweeps", "lease_holder",
    "member_waits", "keying", "all_waiting", "known_hashes",
    "open_rebuild", "open_rebuilds", "rebuild_numbered", "cancelled",
}  # fmt: skip


class Killed(BaseException):
    """The process ends here."""


@dataclass(eq=False)
class Worker:
    """A job that is being done. `stalled` does not renew its leases, and knows nothing of it."""

    job: Message
    context: Context = field(init=False)
    green: greenlet = field(init=False)
    held: list[Holding] = field(default_factory=list)
    how: How = "on"
    stalled: bool = False
    dead: bool = False


class Watched:
    """The catalog as a worker has it: somebody may come between before it writes."""

    def __init__(self, world: "World", worker: Worker) -> None:
        self.world, self.worker = world, worker

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.world.catalog, name)
        if name in READS:
            return found

        def write(*args: Any, **values: Any) -> Any:
            self.world.pause(self.worker)
            return self.world.write(found, *args, **values)

        return write


@dataclass
class World:
    """Everything outside the catalog, and what it must come to."""

    catalog: Catalog
    home: Path
    now: float = 1e9
    workers: list[Worker] = field(default_factory=list)
    hashed: set[str] = field(default_factory=lambda: {"a" * 32})
    """The students that are named by content: all files behind them are hashed."""
    checkpoints: dict[str, int] = field(default_factory=dict)
    training: set[str] = field(default_factory=set)
    trained: Counter[str] = field(default_factory=Counter)
    built: Counter[tuple[str, str]] = field(default_factory=Counter)
    uploaded: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    """How often each publication was found to be gone."""
    errors: set[str] = field(default_factory=set)
    broken: str | None = None

    def __post_init__(self) -> None:
        self.catalog.db.now = lambda _: self.now  # type: ignore[method-assign]
        self.outbox = Outbox()
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        self.settings = Settings(
            home=self.home, data=self.home, max_attempts=MOST, outage_seconds=1e12
        )

    @property
    def queue(self) -> list[Message]:
        return self.outbox.sent

    def made(self, key: str) -> str | None:
        """What lies in a student's folder: which of all distillations made it, `!` if damaged."""
        file = self.settings.student_folder(key) / "made"
        return file.read_text() if file.exists() else None

    def built_of(self, digest: str) -> str | None:
        """Which student lies in a built folder."""
        file = self.settings.member_folder(digest) / "made"
        return file.read_text() if file.exists() else None

    def set_aside(self, key: str) -> set[str]:
        """What was made of a student and is kept elsewhere now."""
        found = self.settings.student_folder(key).parent.glob(f"set-aside/{key}.*/made")
        return {file.read_text().rstrip("!") for file in found}

    def damage(self, key: str) -> None:
        file = self.settings.student_folder(key) / "made"
        if file.exists() and "!" not in file.read_text():
            file.write_text(f"{file.read_text()}!")

    def unpublish(self, family: str, k: int) -> None:
        """What was published is found to be gone, if nobody publishes it just now."""
        subject = f"publish:{self.catalog.member(family, k).digest}"
        lease = self.catalog.lease_acquire(subject, "whoever looks", LEASE)
        if lease is not None:
            self.gone[subject] += 1
            self.catalog.member_gone(family, k, "published", "gone from the Hub", lease=lease)
            self.catalog.lease_release(lease)

    def start(self, job: Message) -> None:
        """Give a message to a worker; it goes to where somebody else may come between."""
        worker = Worker(job)
        worker.context = Context(self.settings, Watched(self, worker), self.outbox)  # type: ignore[arg-type]
        worker.green = greenlet(lambda: self._run(worker))
        self.workers.append(worker)
        self.step(worker)

    def step(self, worker: Worker, how: How = "on") -> None:
        """Let a worker go on to where somebody else may come between, or to its end."""
        worker.how = how
        if how == "stop":
            worker.context.stopping.set()
        self.beat(worker)
        worker.green.switch()
        self._look(worker)

    def kill(self, worker: Worker) -> None:
        """It writes nothing more, and gives nothing back."""
        self._lost(worker)
        worker.dead = True
        worker.green.throw(Killed)
        self._look(worker)

    def stall(self, worker: Worker) -> None:
        """It goes on, but its heartbeat does not."""
        self._lost(worker)
        worker.stalled = True

    def _lost(self, worker: Worker) -> None:
        self.losses.update(held.lease.subject for held in worker.held)

    def _look(self, worker: Worker) -> None:
        if worker.green.dead:
            self.workers.remove(worker)
        assert self.broken is None, self.broken

    def _run(self, worker: Worker) -> None:
        job, context = worker.job, worker.context
        values = job.model_dump()
        family = values.pop("family", "")
        try:
            match job:
                case KeyFamily():
                    keying.key(context, family)
                case Distill():
                    distill.distill(context, job.key)
                case Measure():
                    measure.measure(context, family)
                case Settle():
                    settle.settle(context, family)
                case Assemble():
                    assemble.assemble(context, family, **values)
                case Publish():
                    publish.publish(context, family, **values)
                case Rebuild():
                    rebuild.rebuild(context, family)
                case Sweep():
                    assemble.sweep(context)
        except (LostLease, NotFound, Killed):
            pass

    def pause(self, worker: Worker) -> None:
        """Somebody else may come between. Raises Killed."""
        if not worker.dead and getcurrent() is worker.green:
            worker.green.parent.switch()
        if worker.dead:
            raise Killed

    def beat(self, worker: Worker) -> None:
        """Do what the heartbeat does, while it is not stalled."""
        for held in () if worker.stalled else worker.held:
            if not self.catalog.lease_renew(held.lease, LEASE):
                held._finish(End.LOST)
            elif held.end is None and worker.context.stopping.is_set():
                held._finish(End.STOPPING)
            elif held.end is None and held._cancelled():
                held._finish(End.CANCELLED)

    def write(self, call: Any, *args: Any, **values: Any) -> Any:
        """Nobody's word counts after somebody took over: nothing is written then."""
        lease: Lease | None = values.get("lease")
        if lease is None or not self._is_lost(lease):
            return call(*args, **values)
        before = self._rows()
        try:
            call(*args, **values)
        finally:
            if self._rows() != before:
                # Workers catch what is raised here.
                self.broken = f"{call.__name__} was believed of a worker that was replaced"

    def _is_lost(self, lease: Lease) -> bool:
        with self.catalog.db.read() as session:
            row = session.get(LeaseRow, lease.subject)
            return row is None or row.holder is None or row.fence != lease.fence

    def _rows(self) -> list[list[Any]]:
        tables = [t for t in Base.metadata.sorted_tables if t is not LeaseRow.__table__]
        with self.catalog.db.read() as session:
            return [sorted(map(repr, session.execute(table.select()))) for table in tables]

    def tick(self, seconds: float) -> None:
        """Time goes by in steps that a heartbeat keeps up with."""
        for _ in range(int(seconds // 10) or 1):
            self.now += min(seconds, 10.0)
            for worker in self.workers:
                self.beat(worker)

    def reap(self) -> int:
        """Look for what nobody holds; how many jobs were sent."""
        found = self.catalog.reap(PATIENCE, MOST)
        # Some of it comes from sets: the same steps must be the same run.
        return sum(map(self.outbox.due, sorted(found, key=lambda due: (due.job, due.subject))))

    def work_off(self, but: Worker | None = None) -> None:
        """Everything that was sent is done, and what that sends."""
        for _ in range(2000):
            while self.queue:
                self.start(self.queue.pop(0))
            awake = [worker for worker in self.workers if worker is not but]
            if not awake:
                return
            for worker in awake:
                self.step(worker)
        raise AssertionError(f"no end: {self.workers}")

    def settle_down(self, rounds: int = 40) -> None:
        """Nothing more goes wrong: whatever is open is done, or it is stuck for ever."""
        for worker in [w for w in self.workers if w.stalled]:
            self.kill(worker)
        for _ in range(rounds):
            self.work_off()
            if not self._open():
                return
            self.tick(4000)
            self.reap()
        raise AssertionError(f"stuck: {self._open()}")

    def _open(self) -> list[object]:
        """What is neither done nor given up."""
        catalog = self.catalog
        found: list[object] = [
            s for s in catalog.students()
            if not s.state.over or (s.verify and s.state is StudentState.READY)
        ]  # fmt: skip
        found += [one for one in catalog.all_waiting() if one.state is Keying.HASHING]
        for family in catalog.families():
            found += [one for one in catalog.rebuilds(family.id) if one.open]
            ready = catalog.student(family.student).state is StudentState.READY
            if ready and not family.settled:
                found.append(family)
            if ready and family.settled and family.chosen and not family.cancel:
                found += [w for w in catalog.requests(family.id) if w.state not in OVER]
                there = {m.repo for m in catalog.members(family.id) if m.published is Fact.YES}
                found += [repo for repo in catalog.stale(family.id) if repo in there]
        return found + list(catalog.sweeps())


OVER = (Fact.YES, Fact.FAILED)
