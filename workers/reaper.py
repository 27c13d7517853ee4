"""The thread in every worker that sends again what nobody holds."""

import logging
import threading

from workers.context import Context

log = logging.getLogger("boomerang.workers")


def reap(context: Context) -> int:
    """Look once; return how many jobs were sent."""
    settings = context.settings
    due = context.catalog.reap(settings.requeue_seconds, settings.max_attempts)
    return sum(context.producer.due(job) for job in due)


def start(context: Context) -> threading.Thread:
    """Look again and again until the worker stops."""
    thread = threading.Thread(target=_loop, args=(context,), name="reaper", daemon=True)
    thread.start()
    return thread


def _loop(context: Context) -> None:
    while not context.stopping.wait(context.settings.reap_seconds):
        try:
            reap(context)
        except Exception:
            # The database or the queue may be away for a while; the next look will tell.
            log.exception("reaping failed")
