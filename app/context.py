"""What routes are given: the parts of a running front end, each made once."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.event_watch import EventWatch
from app.redaction import Redactor
from app.serving.catalog_cache import CatalogCache
from app.serving.lanes import Lanes
from app.serving.pairs import Pairs
from app.serving.volumes import Volumes
from boomerang.catalog.catalog import Catalog
from boomerang.service.jobs import Producer
from boomerang.service.settings import Settings


@dataclass(frozen=True)
class Context:
    """The parts of a running front end."""

    settings: Settings
    catalog: Catalog
    producer: Producer
    cache: CatalogCache
    pairs: Pairs
    volumes: Volumes
    lanes: Lanes
    watch: EventWatch
    redact: Redactor

    @classmethod
    def start(cls, settings: Settings) -> "Context":
        """Open the catalog and the queue. Raises BadRequest for settings that are not safe."""
        settings.check()
        catalog, producer = Catalog(settings.database_url), Producer(settings.redis_url)
        cache, pairs = CatalogCache(catalog), Pairs(settings, catalog, producer)
        return cls(
            settings,
            catalog,
            producer,
            cache,
            pairs,
            Volumes(settings, catalog, cache, pairs),
            Lanes(settings.hub_seconds),
            EventWatch(catalog),
            Redactor(settings),
        )

    def stop(self) -> None:
        """Close what was opened."""
        self.producer.close()
        self.catalog.close()


# A coroutine, which costs no thread.
async def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


ContextDep = Annotated[Context, Depends(_context)]
