"""What Prometheus reads of a front end: few labels, the right numbers, cheap however often."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.watching.things import Kept
from tests.app.conftest import Front
from tests.app.watching.conftest import Service

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Figures:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(front: Front) -> Figures:
    return read(front.client.get("/metrics").text)


@pytest.mark.slow("a service, and thousands of bytes of it")
def test_requests_are_counted_by_route_and_bytes_by_what_was_sent(service: Service) -> None:
    front = service.front
    family = front.ready()
    size = front.catalog.members(family.id)[0].size
    sent = front.client.get(f"/models/{size}?family={family.id}&download")
    part = front.client.get(
        f"/models/{size}?family={family.id}&download", headers={"Range": "bytes=0-99"}
    )
    assert len(part.content) == 100
    for unknown in range(30):
        front.client.get(f"/nothing/{unknown}/at/all")
        front.client.request(f"ODD{unknown}", "/families")
    assert front.client.get("/families/unknown").status_code == 404
    now = figures(front)
    route = (("route", "/models/{size}"),)
    assert now["boomerang_http_response_bytes_total", route] == len(sent.content) + 100
    labels = (("method", "GET"), ("route", "/families/{id_}"), ("status", "404"))
    assert now["boomerang_http_requests_total", labels] == 1
    labels = (("method", "GET"), ("route", "other"), ("status", "404"))
    assert now["boomerang_http_requests_total", labels] == 30
    # However many addresses and methods are made up, they are a few labels.
    assert not any("nothing" in str(key) or "ODD" in str(key) for key in now)
    assert now["boomerang_http_request_duration_seconds_count", labels[:2]] == 30
    assert now["boomerang_http_requests_in_flight", ()] == 1
    assert now["boomerang_things", (("kind", "families"),)] == 1
    assert now["boomerang_catalog_up", ()] == now["boomerang_queue_up", ()] == 1
    assert now["boomerang_disk_size_bytes", ()] > now["boomerang_disk_free_bytes", ()] > 0


@pytest.mark.slow("a service of its own")
def test_what_waits_is_counted_and_a_queue_that_is_away_has_no_figures(service: Service) -> None:
    front = service.front
    front.queued()
    with front.client.stream("GET", "/events") as stream:
        assert stream.status_code == 200
        now = figures(front)
        assert now["boomerang_http_event_streams", ()] == 1
    assert now["boomerang_queue_messages", (("queue", "distill"),)] == 1
    assert now["boomerang_jobs", (("kind", "distill"), ("stage", "waiting"))] == 1
    assert now["boomerang_job_oldest_waiting_seconds", (("kind", "distill"),)] >= 0
    assert now["boomerang_workers", (("queue", "distill"),)] == 0


def test_without_a_queue_there_are_the_others(front: Front) -> None:
    text = front.client.get("/metrics").text
    now = read(text)
    assert now["boomerang_queue_up", ()] == 0
    assert not any(name == "boomerang_queue_messages" for name, _ in now)
    assert now["boomerang_catalog_up", ()] == 1
    promtool = shutil.which("promtool")
    if promtool is None:
        return
    told = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_counting_takes_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("app.watching.things.time.monotonic", lambda: now[0])
    asked = []

    def count() -> int:
        asked.append(now[0])
        now[0] += 2.0
        return len(asked)

    kept = Kept(count)
    for _ in range(1000):
        kept()
        now[0] += 0.5
    assert len(asked) * 2.0 <= 500 / 20 + 2.0 + 2.0 * len(asked) / 20
