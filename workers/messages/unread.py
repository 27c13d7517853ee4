"""Messages that a worker cannot read: acknowledged, so that nobody gets them again, and shown.

A message only rings a bell, so none is worth keeping: the catalog has the job, and sends it again.
"""

import logging
from typing import Any

from celery.signals import task_rejected, task_unknown
from celery.worker.consumer import Consumer as CeleryConsumer

from workers.context import context

log = logging.getLogger("boomerang.workers")


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Celery's, which also tells what it could not even decode."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Take note of a message whose body is none, and forget it."""
        super().on_decode_error(message, exc)
        tell(_name(message), f"its body cannot be decoded ({type(exc).__name__})")


def tell(task: str, reason: str) -> None:
    """Have the catalog show that a message was not read; where that is away, the log has it."""
    log.error("a message of %s was not read: %s", task, reason)
    try:
        context().catalog.message_unread(task, reason)
    except Exception:
        log.exception("that was not written into the catalog")


def watch() -> None:
    """Take note of every message that this worker rejects."""
    task_unknown.connect(_unknown)
    task_rejected.connect(_rejected)


def _unknown(message: Any = None, name: str = "", **_: Any) -> None:
    tell(name or _name(message), "no task of this worker has that name")


def _rejected(message: Any = None, exc: Exception | None = None, **_: Any) -> None:
    tell(_name(message), f"it is no message of a task ({type(exc).__name__})" if exc else
         "it is no message of a task")  # fmt: skip


def _name(message: Any) -> str:
    headers = getattr(message, "headers", None)
    return str(headers.get("task") or "no task") if isinstance(headers, dict) else "no task"
