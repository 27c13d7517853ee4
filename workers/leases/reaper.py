"""The thread in every worker that sends again what nobody holds."""

import logging
import threading
import time

from workers.context import Context

log = logging.getLogger("boomerang.workers")

PRUNE_SECONDS = 3600.0


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
    pruned = -PRUNE_SECONDS
    while not context.stopping.wait(context.settings.reap_seconds):
        try:
            reap(context)
            if time.monotonic() - pruned >= PRUNE_SECONDS:
                context.catalog.prune_events(context.settings.event_days)
                pruned = time.monotonic()
        except Exception:
            # The database or the queue may be away for a while; the next look will tell.
            log.exception("reaping failed")
