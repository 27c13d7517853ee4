"""The Celery application that runs the tasks: `celery -A workers.celery_app worker -P threads`.

Tasks are threads: the heavy ones wait for a subprocess, the others copy files. So a task hears at
once that its worker is asked to stop, and an end of the worker is the end of all of it.
"""

import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from celery.signals import (
    setup_logging,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from boomerang import __version__
from boomerang.catalog.leases import this_holder
from boomerang.processes.daemon import READY
from boomerang.processes.logs import begin_logs
from boomerang.service import jobs
from boomerang.service.jobs import Message, celery_app
from boomerang.service.settings import get_settings
from boomerang.service.watching.heartbeat import Present, keep_saying
from boomerang.service.watching.traces import begin_traces
from workers import assemble, distill, keying, measure, publish, settle
from workers.context import Context, context
from workers.hooks import following, telling
from workers.leases import start_reaper
from workers.messages import unread
from workers.models import keeping, plans, rebuild
from workers.play.playing import play, start_keeper
from workers.watching.figures import show_figures
from workers.watching.tasks import watched

M = TypeVar("M", bound=Message)

app: Any = celery_app(get_settings().redis_url)
app.conf.worker_consumer = "workers.messages.unread:Consumer"
unread.watch()


def _register(kind: type[M], work: Callable[[Context, M], str]) -> None:
    """Have messages of a kind worked on."""

    def task(self: Any, *unnamed: Any, **payload: Any) -> str:
        try:
            if unnamed:
                raise ValueError("its fields have no names")
            told = kind(**payload)
        except ValueError as error:
            # Never with what was in it.
            unread.tell(kind.task, f"its fields are none of this task ({type(error).__name__})")
            return "not read"
        return watched(told, self.request, lambda: work(context(), told))

    app.task(name=kind.task, bind=True)(task)


_register(jobs.KeyFamily, lambda here, told: keying.key(here, told.family))
_register(jobs.Rehash, lambda here, told: keying.rehash(here, told.key))
_register(jobs.Distill, lambda here, told: distill.distill(here, told.key))
_register(jobs.PushStudent, lambda here, told: keeping.push(here, told.key))
_register(jobs.Measure, lambda here, told: measure.measure(here, told.family))
_register(jobs.Check, lambda here, told: plans.check(here, told.family))
_register(jobs.Settle, lambda here, told: settle.settle(here, told.family))
_register(jobs.Assemble, lambda here, told: assemble.assemble(here, told.family, told.k, told.want))
_register(
    jobs.Publish,
    lambda here, told: publish.publish(here, told.family, **told.model_dump(exclude={"family"})),
)
_register(jobs.Follow, lambda here, told: following.follow(here, told.family))
_register(jobs.Tell, lambda here, told: telling.tell(here))
_register(jobs.Rebuild, lambda here, told: rebuild.rebuild(here, told.family))
_register(jobs.Play, lambda here, told: play(here, told.id, told.family, told.k))
_register(jobs.Sweep, lambda here, told: assemble.sweep(here))


def _logs(**_: Any) -> None:
    settings = get_settings()
    begin_logs(settings.log_format, settings.log_level)
    # What they say of every task is said by ours, with what it is about.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _prepare(**_: Any) -> None:
    end = begin_traces(get_settings().otlp_endpoint, "boomerang-worker", __version__)
    worker_shutdown.connect(lambda **_: end(), weak=False)
    # Made before there are threads that would each make one.
    publish.keep_xet(context())


def _begin(**_: Any) -> None:
    start_reaper(context())
    queues = app.amqp.queues.consume_from
    if jobs.Measure.queue in queues and jobs.Assemble.queue not in queues:
        context().apart.set()
    if jobs.PLAY in queues:
        start_keeper(context())
    here = context()
    show_figures(here.settings)
    me = Present(this_holder(), socket.gethostname(), tuple(queues), __version__, time.time())
    keep_saying(here.settings.redis_url, me, here.stopping)
    # Straight to the descriptor: Celery turns what is printed into log lines.
    os.write(1, f"{READY}\n".encode())


def _end(**_: Any) -> None:
    context().stopping.set()


# Whoever connects to this one has Celery leave the logs alone.
setup_logging.connect(_logs)
worker_init.connect(_prepare)
worker_ready.connect(_begin)
worker_shutting_down.connect(_end)
