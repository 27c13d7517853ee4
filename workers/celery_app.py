"""The Celery application that runs the jobs: `celery -A workers.celery_app worker -P threads`.

Tasks are threads: the heavy ones wait for a subprocess, the others copy files. So a task hears at
once that its worker is asked to stop, and an end of the worker is the end of all of it.
"""

import os
from typing import Any

from celery.signals import worker_init, worker_ready, worker_shutting_down

from boomerang.processes.daemon import READY
from boomerang.service import messages, producer
from boomerang.service.settings import get_settings
from workers import assemble, distill, keying, measure, publish, settle
from workers.context import context
from workers.leases import reaper

app: Any = producer.celery_app(get_settings().redis_url)


@app.task(name=messages.KeyFamily.task)
def key_task(family: str) -> str:
    """Hash and key a provisional family."""
    return keying.key(context(), family)


@app.task(name=messages.Rehash.task)
def rehash_task(key: str) -> str:
    """Hash touched files again."""
    return keying.rehash(context(), key)


@app.task(name=messages.Distill.task)
def distill_task(key: str) -> str:
    """Make a student ready."""
    return distill.distill(context(), key)


@app.task(name=messages.Measure.task)
def measure_task(family: str) -> str:
    """Settle and measure a family."""
    return measure.measure(context(), family)


@app.task(name=messages.Settle.task)
def settle_task(family: str) -> str:
    """Send what was asked of a family."""
    return settle.settle(context(), family)


@app.task(name=messages.Assemble.task)
def assemble_task(family: str, k: int, want: int | None = None) -> str:
    """Build a member."""
    return assemble.assemble(context(), family, k, want)


@app.task(name=messages.Publish.task)
def publish_task(family: str, k: int, repo: str, **options: Any) -> str:
    """Publish a member."""
    return publish.publish(context(), family, k, repo, **options)


@app.task(name=messages.Sweep.task)
def sweep_task() -> str:
    """Remove members that belong to nobody."""
    return assemble.sweep(context())


@worker_init.connect
def _prepare(**_: Any) -> None:
    # Made before there are threads that would each make one.
    context()


@worker_ready.connect
def _begin(**_: Any) -> None:
    reaper.start(context())
    # Straight to the descriptor: Celery turns what is printed into log lines.
    os.write(1, f"{READY}\n".encode())


@worker_shutting_down.connect
def _end(**_: Any) -> None:
    context().stopping.set()
