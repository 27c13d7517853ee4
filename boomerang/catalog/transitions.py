"""The legal changes of state, and who may make each: written down once, checked at every write.

A state that is none of these changes is refused, so that what a late or mistaken writer says is
never believed. The empty state is that of what does not exist yet.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum

from boomerang.catalog.records.leases import LostLease

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


Moves = Mapping[tuple[str, str], frozenset[Actor]]

_REQUEST = frozenset({Actor.REQUEST})
_WORKER = frozenset({Actor.WORKER})
_LOST = frozenset({Actor.WORKER, Actor.REAPER})
_ANY = frozenset(Actor)

STUDENT: Moves = {
    ("", "queued"): _REQUEST,
    ("", "ready"): _REQUEST,  # a folder that was given is the student
    ("queued", "queued"): _LOST,  # stopped, or lost, before it began
    ("queued", "distilling"): _WORKER,
    ("queued", "ready"): _WORKER,  # what a lost worker had finished is there
    ("queued", "failed"): _LOST,
    ("queued", "cancelled"): _ANY,
    ("distilling", "distilling"): _WORKER,  # another worker took over
    ("distilling", "queued"): _LOST,
    ("distilling", "ready"): _WORKER,
    ("distilling", "failed"): _LOST,
    ("distilling", "cancelled"): _ANY,
    ("ready", "distilling"): _WORKER,  # it is damaged, so it is made again
    ("ready", "failed"): _WORKER,  # it is damaged, and was given
    ("failed", "queued"): _REQUEST,
    ("cancelled", "queued"): _REQUEST,
}

KEYING: Moves = {
    ("", "hashing"): _REQUEST,
    ("hashing", "keyed"): _WORKER,
    ("hashing", "failed"): _LOST,
    ("hashing", "cancelled"): _REQUEST,
    ("keyed", "hashing"): _REQUEST,  # asked for just before its digests were known
    ("failed", "hashing"): _REQUEST,
    ("cancelled", "hashing"): _REQUEST,
}

BUILT: Moves = {
    ("no", "running"): _WORKER,
    ("no", "yes"): _WORKER,  # its folder is there
    ("no", "failed"): _WORKER,
    ("running", "running"): _WORKER,  # another worker took over
    ("running", "yes"): _WORKER,
    ("running", "failed"): _LOST,
    ("running", "no"): _LOST,
    ("yes", "yes"): _LOST,  # its card says something new, or cannot be made to
    ("yes", "running"): _WORKER,
    ("yes", "failed"): _WORKER,
    ("yes", "no"): _WORKER,  # its student was made again
    ("failed", "no"): _WORKER,  # tried again
    ("failed", "running"): _WORKER,
    ("failed", "yes"): _WORKER,
    ("failed", "failed"): _WORKER,
}

PUBLISHED: Moves = {
    move: by for move, by in BUILT.items() if move not in (("no", "yes"), ("yes", "no"))
}

MEASURED: Moves = {
    ("no", "no"): _WORKER,  # figures of a part of the text
    ("no", "yes"): _WORKER,
    ("yes", "yes"): _WORKER,  # measured again
    ("yes", "no"): _WORKER,  # its student was made again
}

FACTS: Mapping[str, Moves] = {"built": BUILT, "published": PUBLISHED, "measured": MEASURED}

MEASURING: Moves = {
    ("", "waiting"): _REQUEST,
    ("waiting", "waiting"): _ANY,
    ("waiting", "running"): _WORKER,
    ("waiting", "failed"): _ANY,
    ("waiting", "without"): _WORKER,
    ("running", "running"): _WORKER,  # another worker took over
    ("running", "yes"): _WORKER,
    ("running", "failed"): _ANY,
    ("running", "without"): _WORKER,
    ("running", "waiting"): _LOST,
    ("yes", "waiting"): frozenset({Actor.REQUEST, Actor.WORKER}),  # more tasks, a new student
    ("failed", "waiting"): frozenset({Actor.REQUEST, Actor.WORKER}),
    ("without", "waiting"): frozenset({Actor.REQUEST, Actor.WORKER}),
}

REQUEST: Moves = {
    ("", "no"): _REQUEST,
    ("no", "running"): _WORKER,
    ("no", "yes"): _WORKER,  # its members are there
    ("no", "failed"): _ANY,
    ("running", "yes"): _WORKER,
    ("running", "failed"): _ANY,
    ("failed", "no"): _REQUEST,
    ("yes", "no"): frozenset({Actor.WORKER, Actor.REQUEST}),  # its members are no longer there
}


def check(moves: Moves, what: str, before: str, after: str, by: Actor) -> None:
    """Refuse a change that is none of these. Raises IllegalTransition."""
    if by in moves.get((before, after), ()):
        return
    log.warning("%s was refused to make %s %s: it is %s", by, what, after, before or "not there")
    raise IllegalTransition(
        f"{what} is {before or 'not there'}; {by} does not make it {after}.",
        value=after,
        fix="Read its state anew.",
    )
