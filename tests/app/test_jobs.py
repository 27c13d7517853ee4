"""Jobs over HTTP: what helps is said, machines are named to those who may build."""

from collections.abc import Callable
from typing import Any

import httpx

from boomerang.catalog.records.states import StudentState
from boomerang.catalog.setbacks import Limits, Setback
from tests.app.conftest import Front, problem
from tests.app.test_contract import Contract


def jobs(front: Front, stage: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = front.client.get("/jobs").json()[stage]
    return found


def test_a_failure_says_what_helps(shared: Front) -> None:
    made = shared.queued()
    key = made["student"]["key"]
    [waits] = jobs(shared, "waiting")
    assert (waits["kind"], waits["queue"], waits["family"]) == ("distill", "distill", made["id"])
    assert (waits["fix"], waits["again"]) == (None, None)
    shared.catalog.reap(0.0, 3)
    [waits] = jobs(shared, "waiting")
    assert waits["sends"] == 1
    assert "queue 'distill'" in waits["fix"]
    shared.catalog.student_again(key, Setback.DIED, "killed", Limits(3, 10.0))
    shared.catalog.set_student_state(key, StudentState.QUEUED, f"{shared.models}/x is gone")
    [waits] = jobs(shared, "waiting")
    assert waits["due"] > waits["since"]
    assert "after 5 workers" in waits["fix"]
    assert waits["reason"] == "$BOOMERANG_MODELS/x is gone"
    shared.catalog.set_student_state(key, StudentState.FAILED, "no text")
    answer = shared.client.get("/jobs").json()
    [lost] = answer["failed"]
    assert answer["counts"] == {"running": 0, "waiting": 0, "failed": 1}
    assert (lost["reason"], lost["again"], lost["name"]) == ("no text", "retry", "teacher")
    assert "retry" in lost["fix"]
    assert lost["since"] <= answer["now"]
    for limit in ("0", "501", "many"):
        problem(shared.client.get(f"/jobs?limit={limit}"), 422, "bad-request")


def test_machines_are_named_to_those_who_may_build(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="build:maker,read:reader")
    made = front.queued()
    front.catalog.lease_acquire(f"student:{made['student']['key']}", "gpu7:41:ab12:9", 60)
    front.catalog.lease_acquire("notices:hooks.example", "gpu7:41:ab12:8", 60)
    seen = {}
    for key in ("maker", "reader"):
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.get(f"{front.base}/jobs", headers=headers, trust_env=False)
        seen[key] = {job["kind"]: job for job in answer.json()["running"]}
    assert seen["maker"]["distill"]["worker"] == "gpu7:41"
    assert seen["maker"]["notify"]["what"] == "hooks.example"
    assert seen["reader"]["distill"]["worker"] is None
    assert seen["reader"]["notify"]["what"] is None


def test_a_pair_that_is_fetched_to_be_tried_is_a_job_too(shared: Front) -> None:
    shared.catalog.lease_acquire("play:gpu7:41:ab12", "gpu7:41:ab12:9", 60)
    [job] = jobs(shared, "running")
    assert (job["kind"], job["queue"], job["worker"]) == ("play", "play", "gpu7:41")
    Contract(shared).ask("/jobs", "/jobs")
    page = shared.client.get("/jobs", headers={"Accept": "text/html"}).text
    assert "Fetching a pair to try" in page
