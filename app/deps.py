"""What routes are given: settings, catalog, producer and volumes, each made once."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.redaction import Redactor
from app.serving.lanes import Lanes
from app.serving.volumes import Volumes
from boomerang.catalog.catalog import Catalog
from boomerang.service.producer import Producer
from boomerang.service.settings import Settings


@dataclass(frozen=True)
class Service:
    """The parts of a running front end."""

    settings: Settings
    catalog: Catalog
    producer: Producer
    volumes: Volumes
    lanes: Lanes
    redact: Redactor

    @classmethod
    def start(cls, settings: Settings) -> "Service":
        """Open the catalog and the queue. Raises BadRequest for settings that are not safe."""
        settings.check()
        catalog = Catalog(settings.database_url)
        producer = Producer(settings.redis_url)
        volumes = Volumes(settings, catalog, producer)
        lanes = Lanes(settings.hub_seconds)
        return cls(settings, catalog, producer, volumes, lanes, Redactor(settings))

    def stop(self) -> None:
        """Close what was opened."""
        self.producer.close()
        self.catalog.close()


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


ServiceDep = Annotated[Service, Depends(_service)]
