"""What a turn takes of devices, charged to the key that asked for it."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from boomerang.errors import BoomerangError
from workers.context import Context
from workers.training.trainer import visible_devices

log = logging.getLogger("boomerang.workers")

CHARGE_SECONDS = 60.0
"""How often what a turn took so far is charged: so much of it is lost with a worker that dies."""


@contextmanager
def charged(context: Context, owner: str | None, devices: int) -> Iterator[None]:
    """Charge a key for what a block takes: its seconds, times devices."""
    meter = _Meter(context, owner, devices)
    meter.start()
    try:
        yield
    finally:
        meter.close()


class _Meter(threading.Thread):
    """Charges now and then, and at the end; what the catalog does not take is charged later."""

    def __init__(self, context: Context, owner: str | None, devices: int) -> None:
        super().__init__(name=f"meter of {owner}", daemon=True)
        self._catalog, self._owner, self._devices = context.catalog, owner, devices
        self._paid = time.monotonic()
        self._over = threading.Event()

    def run(self) -> None:
        """Charge now and then."""
        while not self._over.wait(CHARGE_SECONDS):
            self._charge(over=False)

    def close(self) -> None:
        """Charge the rest."""
        self._over.set()
        self.join()
        self._charge(over=True)

    def _charge(self, *, over: bool) -> None:
        now = time.monotonic()
        try:
            seconds = (now - self._paid) * self._devices
            self._catalog.charge_device(self._owner, seconds, over=over)
            self._paid = now
        except (SQLAlchemyError, BoomerangError):
            # The work is done, or goes on, whatever becomes of the account of it.
            log.exception("what key %s used could not be charged", self._owner)


def distilling_devices(context: Context) -> int:
    """On how many devices this worker distils."""
    settings = context.settings
    return settings.trainer_devices or (1 if settings.trainer else visible_devices())
