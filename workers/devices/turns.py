"""A turn on a device: what is fairest of all that waits, held under its lease."""

from collections.abc import Iterator
from contextlib import contextmanager

from boomerang.catalog.keys.turns import Turn
from workers.context import Context
from workers.leases import Holding, holder_here, kept
from workers.watching.tasks import taken


@contextmanager
def student_turn(context: Context, named: str) -> Iterator[tuple[Turn, Holding | None]]:
    """Hold the student whose turn it is, where a message named one; None where it is held already,
    or has to wait.
    """
    settings = context.settings
    turn = context.catalog.student_turn(
        named, holder_here(), settings.lease_seconds, settings.allowance
    )
    with _held(context, turn) as held:
        yield turn, held


@contextmanager
def family_turn(context: Context, named: str) -> Iterator[tuple[Turn, Holding | None]]:
    """Hold the family that is to be measured next, as `student_turn`."""
    turn = context.catalog.family_turn(named, holder_here(), context.settings.lease_seconds)
    with _held(context, turn) as held:
        yield turn, held


@contextmanager
def _held(context: Context, turn: Turn) -> Iterator[Holding | None]:
    if turn.lease is None:
        yield None
        return
    taken(turn.subject, turn.trace)
    watching = context.cancels.watching(turn.lease.subject)
    with watching as cancelled, kept(context, turn.lease, cancelled) as held:
        yield held
