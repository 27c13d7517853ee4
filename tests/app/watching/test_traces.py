"""Spans of one request, from HTTP to the trainer, as a collector gets them; none by default."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from boomerang.errors import BadRequest
from boomerang.service.watching.traces import begin_traces
from tests.app.watching.conftest import Service
from tests.support.places import ROOT
from tests.workers.conftest import wait_for

ID = "the-one-request"
PARENT = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """A collector on a socket, and the spans that it was sent."""

    def __init__(self) -> None:
        spans: list[Any] = []
        self.spans, self.paths = spans, set[str]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.paths.add(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                told = ExportTraceServiceRequest.FromString(body)
                for resource in told.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, trace: str) -> dict[str, Any]:
        """The spans of a trace by name."""
        return {one.name: one for one in list(self.spans) if one.trace_id.hex() == trace}


@pytest.fixture
def collector() -> Iterator[Collector]:
    opened = Collector()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


@pytest.fixture
def more(collector: Collector) -> dict[str, str]:
    # What a reaper sends again is a trace of its own.
    return {"BOOMERANG_OTLP_ENDPOINT": collector.url, "BOOMERANG_REQUEUE_SECONDS": "600"}


@pytest.mark.long("a whole service, with a collector")
def test_one_trace_from_the_request_to_the_trainer(service: Service, collector: Collector) -> None:
    service.worker()
    asked = {"teacher": "teacher", "data": "texts", "order": "last", "map": "published"}
    secret = "hf_" + "c" * 34
    headers = {"X-Request-ID": ID, "traceparent": f"00-{PARENT}-b7ad6b7169203331-01"}
    client = service.front.client
    answer = client.post(f"/families?about={secret}", json=asked, headers=headers)
    assert answer.status_code == 202, answer.text
    names = ("POST /families", "run/boomerang.distill", "child fake_trainer.py")
    wait_for(lambda: set(names) <= collector.of(PARENT).keys(), 60)
    found = collector.of(PARENT)
    for name in names:
        told = {one.key: one.value.string_value for one in found[name].attributes}
        assert told["boomerang.request_id"] == ID, name
    assert found["child fake_trainer.py"].parent_span_id == found["run/boomerang.distill"].span_id
    client.get("/healthz")
    assert collector.paths == {"/v1/traces"}
    assert not any("healthz" in one.name for one in collector.spans)
    assert secret not in str(collector.spans)
    assert str(service.front.home) not in str([one.attributes for one in collector.spans])


@pytest.mark.slow("a process that imports all of a task")
def test_without_an_endpoint_nothing_of_it_is_loaded() -> None:
    code = (
        "import sys, workers.watching.tasks\nfrom boomerang.service.watching import traces\n"
        "traces.begin_traces('', 'x', '1')()\n"
        "with traces.span('nothing'): traces.mark_request()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert told.stdout.strip() == "[]", told.stderr


def test_libraries_that_are_not_installed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.celery", None)
    with pytest.raises(BadRequest, match=r"boomerang\[traces\]"):
        begin_traces("http://127.0.0.1:1", "x", "1")
