"""Holding a lease while working, and sending again what nobody holds."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from boomerang.catalog.leases import this_holder
from boomerang.catalog.records.states import Lease, LostLease
from boomerang.processes import tally
from boomerang.processes.json_lines import Outcome, Told, run
from boomerang.service.watching.traces import span
from workers.context import Context

log = logging.getLogger("boomerang.workers")

_LOOK_SECONDS = 0.5


class End(StrEnum):
    """Why work must end early."""

    LOST = "another worker took over"
    CANCELLED = "cancelled on request"
    STOPPING = "the worker was stopped"


class Over(Exception):
    """The work must end; `Holding.end` says why."""


class Holding:
    """A lease that is kept alive; `ended` is set as soon as the work must end, `end` says why."""

    def __init__(self, context: Context, lease: Lease, cancelled: Callable[[], bool]) -> None:
        self.lease, subject = lease, lease.subject
        self.ended = threading.Event()
        self.end: End | None = None
        self._context = context
        self._cancelled = cancelled
        self._done = threading.Event()
        # What it logs is about the same request.
        beat = copy_context().run
        self._thread = threading.Thread(target=beat, args=(self._beat,), name=f"lease {subject}")

    def _beat(self) -> None:
        seconds = self._context.settings.lease_seconds
        renewed = time.monotonic()
        while not self._done.wait(min(_LOOK_SECONDS, seconds / 6)) and self.end is None:
            try:
                if time.monotonic() - renewed >= seconds / 3:
                    if not self._context.catalog.lease_renew(self.lease, seconds):
                        return self._finish(End.LOST)
                    renewed = time.monotonic()
                if self._context.stopping.is_set():
                    self._finish(End.STOPPING)
                elif self._cancelled():
                    self._finish(End.CANCELLED)
            except Exception:
                # A database that is away for a moment costs nothing; away for longer, the lease.
                log.exception("the heartbeat of %s failed", self.lease.subject)
                if time.monotonic() - renewed >= seconds:
                    return self._finish(End.LOST)
        return self._keep(renewed)

    def _finish(self, why: End) -> None:
        if why is End.LOST:
            tally.add("leases_lost", self.lease.subject.partition(":")[0])
        self.end = why
        self.ended.set()

    def _keep(self, renewed: float) -> None:
        # Until the work has really ended the lease must not run out under it.
        seconds = self._context.settings.lease_seconds
        while not self._done.wait(seconds / 3):
            try:
                self._context.catalog.lease_renew(self.lease, seconds)
            except Exception:
                log.exception("the heartbeat of %s failed", self.lease.subject)

    def check(self) -> None:
        """Raise Over where the work must end."""
        if self.end is not None:
            raise Over(str(self.end))

    def keep(self) -> None:
        """Renew the lease now. Raises LostLease where somebody else has it."""
        if not self._context.catalog.lease_renew(self.lease, self._context.settings.lease_seconds):
            raise LostLease(f"The lease of {self.lease.subject} was lost.", fix="Let it be.")

    def run(
        self, arguments: Sequence[str], job: Mapping[str, Any], folder: Path, told: Told
    ) -> Outcome:
        """Run a child as `json_lines.run` does; it is stopped where the work must end."""
        stop_seconds = self._context.settings.stop_seconds
        what = Path(arguments[-1]).name
        with span(f"child {what}", subject=self.lease.subject):
            return run(arguments, job, folder, told, self.ended, stop_seconds)

    def start(self) -> None:
        """Begin the heartbeat."""
        self._thread.start()

    def close(self) -> None:
        """End the heartbeat and give the lease back."""
        self._done.set()
        self._thread.join()
        try:
            self._context.catalog.lease_release(self.lease)
        except SQLAlchemyError:
            # It runs out by itself, and the work it was for is done.
            log.exception("the lease of %s could not be given back", self.lease.subject)


def holder_here() -> str:
    """A name for this thread as the holder of a lease."""
    return f"{this_holder()}:{threading.get_ident()}"


@contextmanager
def holding(
    context: Context, subject: str, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[Holding | None]:
    """Hold the lease of a subject during a block; None where somebody else works on it."""
    lease = context.catalog.lease_acquire(subject, holder_here(), context.settings.lease_seconds)
    if lease is None:
        yield None
        return
    with kept(context, lease, cancelled) as held:
        yield held


@contextmanager
def kept(context: Context, lease: Lease, cancelled: Callable[[], bool]) -> Iterator[Holding]:
    """Keep a lease alive during a block, and give it back."""
    held = Holding(context, lease, cancelled)
    held.start()
    try:
        yield held
    finally:
        held.close()


PRUNE_SECONDS = 3600.0
_EARLY = 0.9
"""Of the interval: workers that come by at its end need not wait for another one."""


def reap(context: Context) -> int:
    """Look once; return how many jobs were sent."""
    settings = context.settings
    keep = bool(settings.students)
    due = context.catalog.reap(
        settings.requeue_seconds, settings.max_attempts, keep=keep, allowance=settings.allowance
    )
    for job in due:
        tally.add("sent_again", job.job)
    return sum(context.producer.due(job) for job in due)


def start_reaper(context: Context) -> threading.Thread:
    """Look again and again until the worker stops, where no other worker has just looked."""
    thread = threading.Thread(target=_loop, args=(context,), name="reaper", daemon=True)
    thread.start()
    return thread


def _loop(context: Context) -> None:
    pruned = -PRUNE_SECONDS
    seconds = context.settings.reap_seconds
    while not context.stopping.wait(seconds):
        try:
            if not context.catalog.look_due(_EARLY * seconds):
                continue
            reap(context)
            if time.monotonic() - pruned >= PRUNE_SECONDS:
                context.catalog.prune_events(context.settings.event_days)
                context.catalog.prune_usage(context.settings.audit_days)
                context.catalog.prune_audit(context.settings.audit_days)
                context.catalog.forget_credentials()
                context.catalog.forget_unread(context.settings.event_days)
                pruned = time.monotonic()
        except Exception:
            # The database or the queue may be away for a while; the next look will tell.
            log.exception("reaping failed")
