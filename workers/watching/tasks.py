"""A task from its beginning to its end: which request it is for, its lines in the log."""

import logging
import time
from collections.abc import Callable
from typing import Any

from boomerang.processes import trace
from boomerang.service.jobs import Message

log = logging.getLogger("boomerang.workers.tasks")


def watched(told: Message, request: Any, work: Callable[[], str]) -> str:
    """Do the work of a message; `request` is what Celery knows of it. Raises what it raises."""
    name, subject = told.task.removeprefix("boomerang."), subject_of(told)
    about = {"task": name, "subject": subject, "task_id": request.id}
    began = time.monotonic()
    with trace.following(getattr(request, trace.HEADER, None)):
        log.info("%s begins", name, extra=about)
        outcome = "failed"
        try:
            outcome = work()
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            took = {"outcome": outcome, "seconds": round(time.monotonic() - began, 3)}
            log.info("%s is over: %s", name, outcome, extra=about | took)
        return outcome


def subject_of(told: Message) -> str | None:
    """What a message is about: a student's key or a family's id, with a member where it is one."""
    fields = told.model_dump()
    subject = fields.get("key") or fields.get("family")
    return f"{subject}/{fields['k']}" if subject and "k" in fields else subject
