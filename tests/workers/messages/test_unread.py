"""Messages that no worker can read: none comes back, and people see that there were some."""

from pathlib import Path

import pytest

from boomerang.catalog.jobs.parked import ParkedStore
from tests.workers.conftest import Backend, wait_for

pytestmark = pytest.mark.long("a worker comes up beside a queue of its own")


def test_they_are_shown_and_the_worker_goes_on(backend: Backend, tmp_path: Path) -> None:
    assert isinstance(backend.catalog, ParkedStore)
    app = backend.producer.app
    app.send_task("boomerang.nothing", kwargs={"key": "a"}, queue="distill")
    app.send_task("boomerang.distill", kwargs={"key": "a", "hush": "secret"}, queue="distill")
    app.send_task("boomerang.settle", args=("a",), queue="assemble")
    with app.producer_or_acquire() as producer:
        for body, kind in (("{", "application/json"), ("no task", "text/plain")):
            producer.publish(
                body, routing_key="assemble", content_type=kind, content_encoding="utf-8",
                serializer=None,
            )  # fmt: skip
    made = backend.ask("quick")
    backend.worker()
    wait_for(lambda: backend.catalog.student(made.student.key).state == "ready", 60)
    wait_for(lambda: backend.catalog.parked() == 4, 30)
    jobs = [job for job in backend.catalog.jobs().failed if job.kind == "message"]
    assert {job.what for job in jobs} == {
        "boomerang.nothing", "boomerang.distill", "boomerang.settle", "no task",
    }  # fmt: skip
    assert all(job.parked and "secret" not in str(job.reason) for job in jobs)
    (undecoded,) = [job for job in jobs if job.what == "no task"]
    assert undecoded.attempts == 2
    backend.catalog.forget_unread(-1.0)
    assert backend.catalog.parked() == 0
