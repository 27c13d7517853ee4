"""The legal changes of state, and who may make each: written down once, checked at every write.

A state that is none of these changes is refused, so that what a late or mistaken writer says is
never believed. The empty state is that of what does not exist yet.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum

from boomerang.catalog.records.states import LostLease

log = logging.getLogger("boomerang.catalog")


class Actor(StrEnum):
    """Who changes a state."""

    REQUEST = "a request"
    """Whoever asks for something: a family, a rebuild, a cancellation, a deletion."""
    WORKER = "a worker"
    """The holder of the lease."""
    REAPER = "the reaper"
    """Whoever finds that a lease has no holder any more."""


class IllegalTransition(LostLease):
    """The state has moved on: whoever sees this must stop, as after a lost lease."""

    slug, title = "illegal-transition", "This change of state is not legal"


class Measuring(StrEnum):
    """How far the measuring of a family is."""

    WAITING = "waiting"
    RUNNING = "running"
    YES = "yes"
    FAILED = "failed"
    WITHOUT = "without"
    """It is settled, and nothing is there to measure with."""


Moves = Mapping[str, Mapping[str, frozenset[Actor]]]
"""Who may make a state (first) another (second)."""

_REQUEST = frozenset({Actor.REQUEST})
_WORKER = frozenset({Actor.WORKER})
_LOST = frozenset({Actor.WORKER, Actor.REAPER})
_ASKED = frozenset({Actor.WORKER, Actor.REQUEST})
_ANY = frozenset(Actor)

STUDENT: Moves = {
    # A folder that was given is ready at once.
    "": {"queued": _REQUEST, "ready": _REQUEST},
    # Stopped or lost before it began; ready where a lost worker had finished it.
    "queued": {
        "queued": _LOST, "distilling": _WORKER, "ready": _WORKER, "failed": _LOST,
        "cancelled": _ANY,
    },
    # Another worker may take over.
    "distilling": {
        "queued": _LOST, "distilling": _WORKER, "ready": _WORKER, "failed": _LOST,
        "cancelled": _ANY,
    },
    # It is damaged: made again, or not where it was given.
    "ready": {"distilling": _WORKER, "failed": _WORKER},
    "failed": {"queued": _REQUEST},
    "cancelled": {"queued": _REQUEST},
}  # fmt: skip

KEYING: Moves = {
    "": {"hashing": _REQUEST},
    "hashing": {"keyed": _WORKER, "failed": _LOST, "cancelled": _REQUEST},
    # Asked for just before its digests were known.
    "keyed": {"hashing": _REQUEST},
    "failed": {"hashing": _REQUEST},
    "cancelled": {"hashing": _REQUEST},
}

BUILT: Moves = {
    # Its folder may be there already.
    "no": {"running": _WORKER, "yes": _WORKER, "failed": _WORKER},
    # Another worker may take over.
    "running": {"no": _LOST, "running": _WORKER, "yes": _WORKER, "failed": _LOST},
    # Its card says something new, or cannot be made to; its student was made again.
    "yes": {"no": _WORKER, "running": _WORKER, "yes": _LOST, "failed": _WORKER},
    "failed": {"no": _WORKER, "running": _WORKER, "yes": _WORKER, "failed": _WORKER},
}

PUBLISHED: Moves = {
    **BUILT,
    "no": {"running": _WORKER, "failed": _WORKER},
    "yes": {"running": _WORKER, "yes": _LOST, "failed": _WORKER},
}

# The figures may be of a part of the text, measured again, or of a student that was made again.
MEASURED: Moves = {before: {"no": _WORKER, "yes": _WORKER} for before in ("no", "yes")}

FACTS: Mapping[str, Moves] = {"built": BUILT, "published": PUBLISHED, "measured": MEASURED}

MEASURING: Moves = {
    "": {"waiting": _REQUEST},
    "waiting": {"waiting": _ANY, "running": _WORKER, "failed": _ANY, "without": _WORKER},
    # Another worker may take over.
    "running": {
        "waiting": _LOST, "running": _WORKER, "yes": _WORKER, "failed": _ANY, "without": _WORKER,
    },
    # More tasks are asked for, or its student is new.
    "yes": {"waiting": _ASKED},
    "failed": {"waiting": _ASKED},
    "without": {"waiting": _ASKED},
}  # fmt: skip

REQUEST: Moves = {
    "": {"no": _REQUEST},
    # Its members may be there already.
    "no": {"running": _WORKER, "yes": _WORKER, "failed": _ANY},
    "running": {"yes": _WORKER, "failed": _ANY},
    "failed": {"no": _REQUEST},
    # Its members are no longer there.
    "yes": {"no": _ASKED},
}

REBUILD: Moves = {
    "": {"no": _REQUEST},
    # What is known of its student when it is asked for is found already.
    "no": {"running": _ANY, "yes": _WORKER, "failed": _ANY},
    "running": {"yes": _WORKER, "failed": _ANY},
}


def check(moves: Moves, what: str, before: str, after: str, by: Actor) -> None:
    """Refuse a change that is none of these. Raises IllegalTransition."""
    if by in moves.get(before, {}).get(after, ()):
        return
    log.warning("%s was refused to make %s %s: it is %s", by, what, after, before or "not there")
    raise IllegalTransition(
        f"{what} is {before or 'not there'}; {by} does not make it {after}.",
        value=after,
        fix="Read its state anew.",
    )
