"""How often somebody may come: so many requests at once, and so many a second in the long run.

It is the generic cell rate algorithm (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm):
of each key or address one number is kept, the time at which all that it asked for would be paid.
Each front end counts for itself, so that no request waits for Redis or fails with it. Why no
library does it: docs/decisions/operations/fairness.md.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from app.errors import problem
from app.security.allowances.allowed import allowance_for
from app.security.guesses import address_of, network
from app.security.keys import may, who
from boomerang.service.settings import Settings

NAMES = 1 << 16
"""How many are remembered of each kind; the one that came longest ago is forgotten first."""
_FREE = ("/healthz", "/readyz", "/metrics")


class Rate:
    """Who came how often, by name; `clock` gives seconds. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = NAMES) -> None:
        self._clock, self._most = clock, most
        self._paid: OrderedDict[str, float] = OrderedDict()

    def wait(self, name: str, per_second: float, burst: int) -> float:
        """Count a request; seconds until it may come again, 0 where it may be now."""
        now, each = self._clock(), 1.0 / per_second
        paid = max(self._paid.pop(name, now), now)
        over = paid - now - (max(burst, 1) - 1) * each
        # A sum of many parts of a second is never quite what it should be.
        come = over <= each * 1e-6
        self._paid[name] = paid + each if come else paid
        while len(self._paid) > self._most:
            self._paid.popitem(last=False)
        return 0.0 if come else over


class Rates:
    """Refuses who comes too often: a key, or an address without one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Apart, so that no number of addresses makes a key forgotten.
        self._keys, self._addresses = Rate(), Rate()

    def refusal(self, request: Request, *, keyed: bool) -> Response | None:
        """The answer to who came too often; None for all others.

        Where no keys are needed (`keyed`) nobody is counted, and neither is who asks how the
        service is, nor what a page consists of.
        """
        path = request.scope["path"]
        if not keyed or path in _FREE or path.startswith("/static/"):
            return None
        id_ = who(request).id
        key = request.state.key
        everything = id_ is not None and may(request, "admin")
        may_use = allowance_for(self._settings, key, everything=everything)
        if not may_use.requests_per_second:
            return None
        rate = may_use.requests_per_second, may_use.requests_burst
        if id_ is not None:
            wait = self._keys.wait(id_, *rate)
        else:
            wait = self._addresses.wait(network(address_of(request)), *rate)
        return _too_many(rate[0], wait) if wait else None


def _too_many(per_second: float, wait: float) -> Response:
    detail = f"More than {per_second:g} requests a second came."
    return problem(429, "too-many", "Too many requests", detail, value=per_second,
                   fix="Ask again after the seconds of Retry-After.",
                   headers={"Retry-After": str(max(1, math.ceil(wait))),
                            "X-Error-Message": detail})  # fmt: skip
