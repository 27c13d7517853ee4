"""Wrong keys from one address: at the page where people log in, and in headers."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from starlette.requests import Request

FREE = 5
"""How many may be wrong at once."""
SECONDS = 12.0
"""After how long there is one more."""
ADDRESSES = 4096
"""How many are remembered; the one that failed longest ago is forgotten first."""


class Guesses:
    """Wrong keys by address: so many are `free`, and one more after each so many `seconds`.

    `clock` gives seconds. Safe to use from many threads.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, free: int = FREE,
        seconds: float = SECONDS,
    ) -> None:  # fmt: skip
        self._clock, self._lock = clock, Lock()
        self._free, self._seconds = free, seconds
        self._over: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until the next key may be tried from an address; 0 where it may be now."""
        with self._lock:
            owed = self._over.get(network(address), 0.0) - self._clock()
        return max(0, math.ceil(owed - (self._free - 1) * self._seconds))

    def wrong(self, address: str) -> None:
        """A key that nobody knows was tried."""
        name, now = network(address), self._clock()
        with self._lock:
            self._over[name] = max(self._over.pop(name, now), now) + self._seconds
            while len(self._over) > ADDRESSES:
                self._over.popitem(last=False)

    def right(self, address: str) -> None:
        """Whoever knows a key is not guessing."""
        with self._lock:
            self._over.pop(network(address), None)


def address_of(request: Request) -> str:
    """The address that a request came from, "" where it has none."""
    return request.client.host if request.client else ""


def network(address: str) -> str:
    """An address, or the /64 that one line of IPv6 has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
