"""A world around a catalog: a queue that loses and doubles, workers that die, a clock, a disk.

Workers are generators over what the real ones write, in the same order; they stop wherever another
could come between. What they send, settle and close is done by the workers' own code.
"""

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from boomerang.errors import NotFound
from boomerang.layermap import LayerMap
from boomerang.service.catalog import Catalog
from boomerang.service.jobs import Assemble, Distill, Job, Measure, Publish, Settle, Sweep
from boomerang.service.leases import Lease, LostLease
from boomerang.service.orders import composition_of
from boomerang.service.records import Fact, NewFamily, NewMember, NewStudent, StudentState
from boomerang.service.setbacks import Limits, Setback
from boomerang.service.settings import Settings
from tests.outbox import Outbox
from workers.context import Context
from workers.settle import close_want, done, settle, subject

KEPT, LAYERS, COMMIT = (0, 2, 3), 4, "c" * 40
LEASE, PATIENCE, MOST = 30.0, 60.0, 3
LIMITS = Limits(MOST, 1e12)

How = Literal["on", "stop", "away", "died", "error"]
"""What befalls a worker at its next step."""
Work = Generator[None, How, None]
REFUSED = "it cannot be"


@dataclass
class Worker:
    """A job that is being done. `stalled` does not renew its lease, and knows nothing of it."""

    job: Job
    name: str
    stalled: bool = False
    lease: Lease | None = None
    steps: Work = field(init=False)


@dataclass
class World:
    """Everything outside the catalog, and what it must come to."""

    catalog: Catalog
    now: float = 1e9
    workers: list[Worker] = field(default_factory=list)
    students: dict[str, int] = field(default_factory=dict)
    """What lies in a student's folder, by key: which of all the distillations made it."""
    checkpoints: dict[str, int] = field(default_factory=dict)
    trained: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)
    set_aside: list[int] = field(default_factory=list)
    members: dict[str, int] = field(default_factory=dict)
    """The students that built members were made of, by digest."""
    losses: Counter[str] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)
    begun: int = 0

    def __post_init__(self) -> None:
        self.catalog.db.now = lambda _: self.now  # type: ignore[method-assign]
        self.outbox = Outbox()
        self.context = Context(Settings(home=Path("/nowhere")), self.catalog, self.outbox)

    @property
    def queue(self) -> list[Job]:
        return self.outbox.sent

    def start(self, job: Job) -> None:
        """Give a message to a worker; it does its first step."""
        self.begun += 1
        worker = Worker(job, f"w{self.begun}")
        worker.steps = self._work(worker)
        self.workers.append(worker)
        self.step(worker, None)

    def step(self, worker: Worker, how: How | None = "on") -> None:
        """Let a worker go on to where somebody else may come between, or to its end."""
        self.beat(worker)
        try:
            worker.steps.send(how)  # type: ignore[arg-type]
        except StopIteration:
            self.workers.remove(worker)

    def beat(self, worker: Worker) -> None:
        """Renew a worker's lease, as its heartbeat does while it is not stalled."""
        if worker.lease is not None and not worker.stalled:
            self.catalog.lease_renew(worker.lease, LEASE)

    def kill(self, worker: Worker) -> None:
        """It writes nothing more, and gives nothing back."""
        self.workers.remove(worker)
        if worker.lease is not None:
            self.losses[worker.lease.subject] += 1

    def stall(self, worker: Worker) -> None:
        """It goes on, but its heartbeat does not."""
        worker.stalled = True
        if worker.lease is not None:
            self.losses[worker.lease.subject] += 1

    def tick(self, seconds: float) -> None:
        """Time goes by in steps that a heartbeat keeps up with."""
        for _ in range(int(seconds // 10) or 1):
            self.now += min(seconds, 10.0)
            for worker in self.workers:
                self.beat(worker)

    def reap(self) -> int:
        """Look for what nobody holds; how many jobs were sent."""
        return sum(self.outbox.due(due) for due in self.catalog.reap(PATIENCE, MOST))

    def _work(self, worker: Worker) -> Work:
        job = worker.job
        kinds: dict[type[Job], Callable[[Worker], Work]] = {
            Distill: self._distill,
            Measure: self._measure,
            Settle: self._settle,
            Assemble: self._member,
            Publish: self._member,
            Sweep: self._sweep,
        }
        try:
            yield from kinds[type(job)](worker)
        except (LostLease, NotFound):
            pass
        except _Released:
            pass
        if worker.lease is not None:
            self.catalog.lease_release(worker.lease)

    def _hold(self, worker: Worker, subject: str) -> Lease:
        lease = self.catalog.lease_acquire(subject, worker.name, LEASE)
        if lease is None:
            raise _Released
        worker.lease = lease
        return lease

    def _distill(self, worker: Worker) -> Work:
        assert isinstance(worker.job, Distill)
        catalog, key = self.catalog, worker.job.key
        lease = self._hold(worker, f"student:{key}")
        yield
        student = catalog.student(key)
        if student.state in (StudentState.FAILED, StudentState.CANCELLED):
            return
        if student.state is StudentState.READY:
            if student.verify is None:
                return
            if (yield) == "away":
                catalog.student_not_seen(key, "away", LIMITS, lease=lease)
                return
            if not self.damaged[key]:
                self._whole(key, lease, made=False)
                return
            self.set_aside.append(self.students.pop(key))
            del self.damaged[key]
        yield from self._make(key, lease)

    def _make(self, key: str, lease: Lease) -> Work:
        catalog = self.catalog
        if catalog.student(key).cancel:
            catalog.set_student_state(key, StudentState.CANCELLED, "cancelled", lease=lease)
            return
        catalog.set_student_state(key, StudentState.DISTILLING, lease=lease)
        while key not in self.students:
            how = yield
            if catalog.student(key).cancel:
                catalog.set_student_state(key, StudentState.CANCELLED, "cancelled", lease=lease)
                return
            if how == "stop":
                catalog.student_resend(key, "stopped", lease=lease)
                return
            if how in ("away", "died"):
                kind = Setback.OUTSIDE if how == "away" else Setback.DIED
                self.losses[f"student:{key}"] += how == "died"
                catalog.student_again(key, kind, how, LIMITS, lease=lease)
                return
            if how == "error":
                self.errors.add(key)
                catalog.set_student_state(key, StudentState.FAILED, REFUSED, lease=lease)
                return
            step = self.checkpoints.get(key, 0) + 1
            catalog.student_saved(key, {"step": step}, lease=lease)
            self.checkpoints[key] = step
            if step % 2 == 0:
                self.trained[key] += 1
                self.students[key] = sum(self.trained.values())
        yield
        self._whole(key, lease, made=True)

    def _whole(self, key: str, lease: Lease, *, made: bool) -> None:
        files = {"model.safetensors": str(self.students[key])}
        self.catalog.student_whole(key, files, made=made, lease=lease)
        for family in self.catalog.families_of_student(key):
            if not family.settled and not family.cancel:
                self.outbox.send(Measure(family=family.id))

    def _measure(self, worker: Worker) -> Work:
        assert isinstance(worker.job, Measure)
        catalog, id_ = self.catalog, worker.job.family
        lease = self._hold(worker, f"family:{id_}")
        family = catalog.family(id_)
        if catalog.student(family.student).state is not StudentState.READY or family.settled:
            return
        if family.cancel:
            catalog.measure_cancelled(id_, "cancelled", lease=lease)
            return
        made = self.students.get(family.student)
        yield
        catalog.set_members(
            id_, ladder(family.student), patch_order=(0,), chosen=family.order, lease=lease
        )
        catalog.set_measuring(id_, Fact.RUNNING, lease=lease)
        for k in (0, 1):
            how = yield
            if catalog.family(id_).cancel:
                catalog.measure_cancelled(id_, "cancelled", lease=lease)
                return
            if how == "stop":
                catalog.measure_resend(id_, "stopped", lease=lease)
                return
            if how in ("away", "died"):
                kind = Setback.OUTSIDE if how == "away" else Setback.DIED
                self.losses[f"family:{id_}"] += how == "died"
                if not catalog.measure_again(id_, kind, how, LIMITS, lease=lease):
                    catalog.set_measuring(id_, Fact.FAILED, how, lease=lease)
                return
            if how == "error" or made is None:
                self.errors.add(id_)
                catalog.set_measuring(id_, Fact.FAILED, REFUSED, lease=lease)
                return
            catalog.set_fact(id_, k, "measured", Fact.YES, lease=lease, perplexity=float(made))
        yield
        catalog.set_measuring(id_, Fact.YES, lease=lease)
        yield
        settle(self.context, id_)

    def _settle(self, worker: Worker) -> Work:
        assert isinstance(worker.job, Settle)
        settle(self.context, worker.job.family)
        yield

    def _member(self, worker: Worker) -> Work:
        job = worker.job
        assert isinstance(job, Assemble | Publish)
        catalog, kind = self.catalog, "build" if isinstance(job, Assemble) else "publish"
        fact: Literal["built", "published"] = "built" if kind == "build" else "published"
        member = catalog.member(job.family, job.k)
        which = (job.family, job.k, fact)
        lease = self._hold(worker, subject(kind, member))
        member = catalog.member(job.family, job.k)
        there = getattr(member, fact) is Fact.YES
        if kind == "publish" and (there or (job.want and not catalog.is_open(job.want))):
            return
        if not there:
            catalog.set_fact(*which, Fact.RUNNING, lease=lease)
        student = catalog.student(catalog.family(job.family).student)
        made = str(self.students.get(student.key))
        how = yield
        if how == "error" and not there:
            self.errors.add(subject(kind, member))
            catalog.set_fact(*which, Fact.FAILED, REFUSED, lease=lease)
        elif how in ("away", "died") and not there:
            self.losses[subject(kind, member)] += how == "died"
            setback = Setback.OUTSIDE if how == "away" else Setback.DIED
            if not catalog.member_again(*which, setback, how, LIMITS, lease=lease):
                catalog.set_fact(*which, Fact.FAILED, how, lease=lease)
        elif kind == "build":
            if student.state is not StudentState.READY or made == "None":
                if not there:
                    catalog.set_fact(*which, Fact.FAILED, "its student is not ready", lease=lease)
            else:
                kept = str(self.members.get(member.digest)) == made == member.made_of
                if there and not kept:
                    catalog.set_fact(*which, Fact.RUNNING, lease=lease)
                yield
                if not catalog.lease_renew(lease, LEASE):
                    return
                self.members[member.digest] = int(made)
                catalog.set_fact(*which, Fact.YES, lease=lease, made_of=made)
        else:
            assert isinstance(job, Publish)
            catalog.set_fact(*which, Fact.YES, lease=lease, repo=job.repo, commit="1")
        yield
        catalog.lease_release(lease)
        worker.lease = None
        close_want(self.context, job.family, job.want)

    def _sweep(self, worker: Worker) -> Work:
        for digest in self.catalog.sweeps():
            lease = self.catalog.lease_acquire(f"build:{digest}", worker.name, LEASE)
            if lease is None:
                continue
            worker.lease = lease
            if not self.catalog.referenced([digest]):
                yield
                self.members.pop(digest, None)
            self.catalog.swept(digest)
            self.catalog.lease_release(lease)
            worker.lease = None
        yield

    def settle_down(self, rounds: int = 40) -> None:
        """Nothing more goes wrong: whatever is open is done, or it is stuck for ever."""
        for worker in [w for w in self.workers if w.stalled]:
            self.workers.remove(worker)
        for _ in range(rounds):
            self.tick(4000)
            self.reap()
            while self.queue or self.workers:
                while self.queue:
                    self.start(self.queue.pop(0))
                for worker in list(self.workers):
                    self.step(worker)
            if not self._open():
                return
        raise AssertionError(f"stuck: {self._open()}")

    def _open(self) -> list[object]:
        """What is neither done nor given up."""
        catalog = self.catalog
        found: list[object] = [s for s in catalog.students() if not s.state.over or s.verify]
        for family in catalog.families():
            ready = catalog.student(family.student).state is StudentState.READY
            if ready and not family.settled:
                found.append(family)
            if ready and family.settled and family.chosen and not family.cancel:
                found += [w for w in catalog.wants(family.id) if w.state not in OVER]
            if ready and family.settled and family.chosen and not family.cancel:
                there = {m.repo for m in catalog.members(family.id) if m.published is Fact.YES}
                found += [repo for repo in catalog.stale(family.id) if repo in there]
        return found + list(catalog.sweeps())

    def is_done(self, family_id: str) -> bool:
        """Whether everything that was asked of a family is there."""
        family, catalog = self.catalog.family(family_id), self.catalog
        members = catalog.members(family_id)
        return all(
            any(done(self.context, family, member, want) for member in members)
            for want in catalog.wants(family_id)
            if want.state is Fact.YES
        )


OVER = (Fact.YES, Fact.FAILED)


class _Released(Exception):
    """Somebody else has the lease."""


def new_student(key: str) -> NewStudent:
    """What is asked for: two requests with the same key are the same student."""
    return NewStudent(key=key, teacher="org/T", teacher_commit=COMMIT, kept=KEPT, layers=LAYERS)


def new_family(key: str, order: str) -> NewFamily:
    """A family of that student."""
    return NewFamily(
        name="T", teacher="org/T", revision=None, commit=COMMIT, source=None, student=key,
        order=order,
    )  # fmt: skip


def ladder(key: str) -> tuple[NewMember, ...]:
    """The two members of a student."""
    layermap = LayerMap(KEPT, LAYERS)
    return tuple(
        NewMember(
            k=k, size=size, code=code, digest=composition_of(layermap, code).digest(COMMIT, key),
            parameters=1000 * (k + 1), bytes=4000 * (k + 1), layers=3 + k,
        )
        for k, size, code in ((0, "1.00K", "sss+sss"), (1, "2.00K", "bbb+ttt"))
    )  # fmt: skip
