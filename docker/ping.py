"""Exit 0 if a worker of this container answers.

Lighter than ``celery inspect ping`` (no command line, no task modules), and it asks this host's
nodes alone: another container's answer must not make this one healthy.
"""

import socket
import sys

from boomerang.service.jobs import celery_app
from boomerang.service.settings import get_settings

SECONDS = 3.0


def main() -> None:
    """Ping the worker named ``…@<this host>``, whatever stands before the @."""
    nodes = f"*@{socket.gethostname()}"
    control = celery_app(get_settings().redis_url).control
    # limit: the first answer is enough, the rest of the time need not be waited for.
    if not control.broadcast(
        "ping", reply=True, pattern=nodes, matcher="glob", timeout=SECONDS, limit=1
    ):
        sys.exit(f"{nodes} does not answer")


if __name__ == "__main__":
    main()
