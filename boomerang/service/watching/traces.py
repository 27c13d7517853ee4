"""Traces for a collector of OpenTelemetry, where the settings name one; else nothing is loaded.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. A trace goes on by the header `traceparent`
(https://www.w3.org/TR/trace-context/) of requests and of the queue's messages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from boomerang.errors import BadRequest
from boomerang.processes import trace
from boomerang.processes.redacted import without_tokens

REQUEST_ID = "boomerang.request_id"
_QUIET = "healthz,readyz,metrics,static"
_SECONDS = 3
_tracer: Any = None
_api: Any = None


def begin_traces(endpoint: str, service: str, version: str) -> Callable[[], None]:
    """Send this process's spans to a collector from here on; what is given ends that.

    `endpoint` is the collector's address without `/v1/traces`; empty, nothing is done. Raises
    BadRequest where the libraries are not installed.
    """
    global _tracer, _api
    if not endpoint:
        return lambda: None
    try:
        from opentelemetry import trace as api  # noqa: PLC0415 - only with an endpoint
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise BadRequest(
            "Traces need libraries that are not installed.",
            value=error.name,
            fix="pip install 'boomerang[traces]', or leave BOOMERANG_OTLP_ENDPOINT empty.",
        ) from None
    about = Resource.create({"service.name": service, "service.version": version})
    provider = TracerProvider(resource=about)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_SECONDS)
    provider.add_span_processor(
        BatchSpanProcessor(_clean(exporter), schedule_delay_millis=1000)
    )  # fmt: skip
    api.set_tracer_provider(provider)
    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
    _tracer, _api = provider.get_tracer("boomerang"), api
    return provider.shutdown


def trace_requests(app: Any) -> None:
    """Have every request of an application be a span. Call it before the first one, and only where
    traces began.
    """
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - as above

    def asked(span: Any, scope: Mapping[str, Any]) -> None:
        span.set_attribute(REQUEST_ID, scope.get("state", {}).get("trace", ""))

    # Each piece of a body would be a span of its own.
    FastAPIInstrumentor.instrument_app(
        app, server_request_hook=asked, excluded_urls=_QUIET, exclude_spans=["send", "receive"]
    )


def mark_request() -> None:
    """Tell the span that is under way for which request it is."""
    if _api is not None:
        _api.get_current_span().set_attribute(REQUEST_ID, trace.current() or "")


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A part of the work, of the request that is worked for; nothing where there are no traces."""
    if _tracer is None:
        yield
        return
    known = {**attributes, REQUEST_ID: trace.current() or ""}
    with _tracer.start_as_current_span(name, attributes=known):
        yield


def _clean(exporter: Any) -> Any:
    """An exporter that lets no token pass, in whatever an error said."""
    from opentelemetry.sdk.trace import Event, ReadableSpan  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import SpanExporter  # noqa: PLC0415 - as above

    class Clean(SpanExporter):  # type: ignore[misc, unused-ignore]
        """Hands on copies."""

        def export(self, spans: Sequence[Any]) -> Any:
            """Send spans."""
            return exporter.export([copied(one) for one in spans])

        def shutdown(self) -> None:
            """Close the connection."""
            exporter.shutdown()

    def copied(one: Any) -> Any:
        events = [Event(e.name, _texts(e.attributes), e.timestamp) for e in one.events]
        return ReadableSpan(
            one.name, one.context, one.parent, one.resource, _texts(one.attributes), events,
            one.links, one.kind, None, one.status, one.start_time, one.end_time,
            one.instrumentation_scope,
        )  # fmt: skip

    return Clean()


def _texts(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {k: without_tokens(v) if isinstance(v, str) else v for k, v in (given or {}).items()}
