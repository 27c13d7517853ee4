"""A task from its beginning to its end: which request it is for, its lines in the log."""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from boomerang.processes import trace
from boomerang.service.jobs import Message
from boomerang.service.watching.traces import mark_request
from workers.watching.figures import RUNNING, TASKS, TRAININGS, outcome_of

log = logging.getLogger("boomerang.workers.tasks")

_ABOUT: ContextVar[dict[str, Any] | None] = ContextVar("boomerang_task", default=None)


def watched(told: Message, request: Any, work: Callable[[], str]) -> str:
    """Do the work of a message; `request` is what Celery knows of it. Raises what it raises."""
    name, subject = told.task.removeprefix("boomerang."), subject_of(told)
    about = {"task": name, "subject": subject, "task_id": request.id}
    began = time.monotonic()
    with trace.following(getattr(request, trace.HEADER, None)):
        _ABOUT.set(about)
        mark_request()
        log.info("%s begins", name, extra=about)
        outcome, running = "failed", RUNNING.labels(name)
        running.inc()
        try:
            outcome = work()
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            running.dec()
            TRAININGS.over()
            seconds = time.monotonic() - began
            TASKS.labels(name, outcome_of(outcome)).observe(seconds)
            took = {"outcome": outcome, "seconds": round(seconds, 3)}
            log.info("%s is over: %s", name, outcome, extra=about | took)
        return outcome


def taken(subject: str, request_id: str | None) -> None:
    """A message has rung for one, and the work of another is done: the task's lines are of that."""
    trace.follow(request_id)
    about = _ABOUT.get()
    if about is not None and about["subject"] != subject:
        about["subject"] = subject
        log.info("%s begins", about["task"], extra=about)


def subject_of(told: Message) -> str | None:
    """What a message is about: a student's key or a family's id, with a member where it is one."""
    fields = told.model_dump()
    subject = fields.get("key") or fields.get("family")
    return f"{subject}/{fields['k']}" if subject and "k" in fields else subject
