"""How many jobs there are of each kind, and how long the first of them has waited."""

from dataclasses import dataclass, field

from boomerang.catalog.jobs.failed import failed
from boomerang.catalog.jobs.running import held_leases, kind_of
from boomerang.catalog.jobs.waiting import queued
from boomerang.catalog.store import Store


@dataclass(slots=True)
class JobFigures:
    """Jobs by kind: `running`, `waiting`, and for how many seconds the `oldest` of those has.

    `failed` are those of any kind.
    """

    running: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    oldest: dict[str, float] = field(default_factory=dict)
    failed: int = 0


class FigureStore(Store):
    """Jobs, counted. No question grows with the number of families, as those of JobStore."""

    def job_figures(self) -> JobFigures:
        """What runs and what waits now."""
        with self.db.read() as session:
            now, found, held = session.now(), JobFigures(), held_leases(session)
            for subject in held:
                kind = kind_of(subject)
                found.running[kind] = found.running.get(kind, 0) + 1
            for kind, many, since in queued(session, held):
                found.waiting[kind] = many
                found.oldest[kind] = max(0.0, now - since) if since else 0.0
            found.failed = failed(session, 1)[1]
            return found
