"""What a front end counts of its own requests, for Prometheus.

https://prometheus.io/docs/practices/naming/. Labels take few values: a route is its template, and
whatever is none is `other`.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

# A second series beside each counter, of which nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
REFUSALS = {401: "unknown key", 403: "not allowed", 413: "too long", 429: "too many"}


class Figures:
    """The counters of one front end, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "boomerang_http_requests", "Requests that were answered.",
            ["method", "route", "status"], registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "boomerang_http_request_duration_seconds", "Seconds until an answer began.",
            ["method", "route"], buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._bytes = Counter(
            "boomerang_http_response_bytes", "Bytes of bodies that were sent.", ["route"],
            registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            "boomerang_http_refusals", "Requests that were refused, by why.", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        for reason in REFUSALS.values():
            self._refused.labels(reason)
        self.in_flight = Gauge(
            "boomerang_http_requests_in_flight", "Requests that are being answered.",
            registry=self.registry,
        )  # fmt: skip
        self.streams = Gauge(
            "boomerang_http_event_streams", "Streams of events that are open.",
            registry=self.registry,
        )  # fmt: skip

    def answered(
        self, method: str, route: str, status: int, began: float | None, size: int
    ) -> None:
        """A request is over: `began` seconds until the answer did, `size` bytes of a body."""
        self._requests.labels(method, route, str(status)).inc()
        if began is not None:
            self._seconds.labels(method, route).observe(began)
        if size:
            self._bytes.labels(route).inc(size)
        if status in REFUSALS:
            self._refused.labels(REFUSALS[status]).inc()
