"""The event stream: live, resumable, and no reason for a server not to stop."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front, problem


@pytest.fixture
def database(url: str) -> dict[str, str]:
    return {"BOOMERANG_DATABASE_URL": url}


@contextmanager
def listening(front: Front, path: str, **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    with front.client.stream("GET", path, headers=named, timeout=15) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name in ("id", "event", "data"):
            event[name] = json.loads(value) if name == "data" else value
        elif not line and event:
            yield event
            event = {}


def test_a_family_from_its_first_event_on_and_resumed(front: Front) -> None:
    made = front.queued()
    key = made["student"]["key"]
    with listening(front, f"/families/{made['id']}/events") as stream:
        first = next(stream)
        assert int(first["id"]) > 0
        assert first["data"]["time"] > 1e9
        front.catalog.set_student_state(key, StudentState.DISTILLING)
        front.catalog.student_progress(key, {"step": 3, "steps": 8, "loss": 1.5})
        seen = [first]
        while seen[-1]["event"] != "progress":
            seen.append(next(stream))
    assert seen[-1]["data"]["loss"] == 1.5
    assert seen[-1]["data"]["student"] == key
    ids = [int(event["id"]) for event in seen]
    assert ids == sorted(set(ids))
    states = [event["data"]["state"] for event in seen if event["event"] == "student"]
    assert states[-1] == "distilling"
    address = f"/families/{made['id']}/events"
    with listening(front, address, Last_Event_ID=seen[-2]["id"]) as stream:
        assert next(stream) == seen[-1]
    with listening(front, f"{address}?after={ids[-2]}") as stream:
        assert next(stream) == seen[-1]
    # The header of a browser that connects again goes before the address it was given first.
    with listening(front, f"{address}?after=0", Last_Event_ID=seen[-2]["id"]) as stream:
        assert next(stream) == seen[-1]


def test_all_of_them_from_now_on(front: Front) -> None:
    front.queued()
    with listening(front, "/events") as stream:
        second = front.queued(order="first")
        assert next(stream)["data"]["family"] == second["id"]


def test_an_open_stream_is_no_reason_not_to_stop(front: Front) -> None:
    made = front.queued()
    opened, ended = threading.Event(), threading.Event()

    def listen() -> None:
        try:
            with listening(front, f"/families/{made['id']}/events") as stream:
                for _ in stream:
                    opened.set()
        except httpx.HTTPError:
            pass
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert opened.wait(15)
    assert front.stop() < 5
    assert ended.wait(5)
    thread.join()
    assert "Traceback" not in front.log.read_text()


def test_the_loss_is_told_step_by_step(front: Front) -> None:
    made = front.queued()
    key, at = made["student"]["key"], f"/families/{made['id']}/curve"
    assert front.client.get(at).json()["points"] == []
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    for step in range(1, 5):
        front.catalog.student_progress(key, {"step": step, "steps": 8, "loss": 4 - step / 2,
                                             "kl": 1 / step})  # fmt: skip
    found = front.client.get(at).json()
    assert found == {"student": key, "metric": "loss", "step": 4, "steps": 8,
                     "points": [[1, 3.5], [2, 3.0], [3, 2.5], [4, 2.0]]}  # fmt: skip
    assert front.client.get(at, params={"metric": "kl"}).json()["points"][0] == [1, 1.0]
    problem(front.client.get(at, params={"metric": "speed"}), 422, "bad-request")


def test_the_log_is_in_words_and_tells_no_folder(front: Front) -> None:
    made = front.queued()
    key, at = made["student"]["key"], f"/families/{made['id']}/log"
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 1, "steps": 8, "loss": 4.0})
    front.catalog.set_student_state(key, StudentState.FAILED, f"no room in {front.home}/students")
    found = front.client.get(at).json()
    words = [entry["words"] for entry in found["entries"]]
    assert words[-1] == "The student waits for a worker"
    assert "Distilling began" in words
    assert any(one.startswith("Distilling failed: no room in ") for one in words)
    assert str(front.home) not in str(found)
    assert found["entries"][0]["tone"] == "bad"
    assert found["before"] is None
    first = front.client.get(at, params={"limit": 2}).json()
    rest = front.client.get(at, params={"before": first["before"]}).json()
    assert first["entries"] + rest["entries"] == found["entries"]
    problem(front.client.get("/families/nothing/log"), 404, "family-not-found")
