"""What every task of one worker process shares."""

import threading
from dataclasses import dataclass, field
from functools import lru_cache

from boomerang.catalog.catalog import Catalog
from boomerang.service.jobs import Producer
from boomerang.service.settings import Settings, get_settings
from workers.devices.cancels import Cancels


@dataclass(frozen=True)
class Context:
    """Settings, catalog, the way to send jobs, and whether the worker is asked to stop.

    `apart` is set in a worker that measures and does not assemble: whoever does may have no torch.
    """

    settings: Settings
    catalog: Catalog
    producer: Producer
    stopping: threading.Event = field(default_factory=threading.Event)
    apart: threading.Event = field(default_factory=threading.Event)
    cancels: Cancels = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """One look for cancellations of all that this process works on."""
        object.__setattr__(self, "cancels", Cancels(self.catalog))


@lru_cache(maxsize=1)
def context() -> Context:
    """The context of this process."""
    settings = get_settings()
    return Context(
        settings,
        Catalog(settings.database_url, migrate=settings.migrate),
        Producer(settings.redis_url),
    )
