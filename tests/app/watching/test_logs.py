"""One line for each request, as JSON, with its id; no token or key in any."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.conftest import Front

TOKEN = "hf_" + "a" * 34
KEY = "k" * 40


def lines(front: Front) -> list[dict[str, Any]]:
    return [json.loads(line) for line in front.log.read_text().splitlines()]


@pytest.mark.slow("a front end of its own")
def test_each_request_has_its_id_and_a_line(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS=f"read:{KEY}")
    given = front.client.get("/families", headers={"X-Request-ID": "of-mine.1"})
    assert given.headers["x-request-id"] == "of-mine.1"
    made = front.client.get("/families", headers={"X-Request-ID": "no id!"})
    other = front.client.get("/families/unknown")
    assert len(made.headers["x-request-id"]) == len(other.headers["x-request-id"]) == 32
    refused = httpx.get(f"{front.base}/models", headers={"Authorization": f"Bearer {TOKEN}"})
    assert refused.status_code == 401
    front.client.get(f"/models/{TOKEN}?token={TOKEN}", headers={"X-Hub-Token": TOKEN})
    front.client.get("/healthz")
    front.stop()
    found = [one for one in lines(front) if one["logger"] == "boomerang.app.requests"]
    first = next(one for one in found if one["request_id"] == "of-mine.1")
    assert first["level"] == "info"
    assert (first["method"], first["route"], first["status"]) == ("GET", "/families", 200)
    assert first["key"].startswith("environment:")
    assert first["bytes"] == len(given.content)
    assert first["ms"] >= first["first_ms"] >= 0
    by_id = {one["request_id"]: one for one in found}
    assert by_id[other.headers["x-request-id"]]["route"] == "/families/{id_}"
    nobody = by_id[refused.headers["x-request-id"]]
    assert (nobody["route"], nobody["status"], nobody["key"]) == ("other", 401, None)
    assert "/healthz" not in {one["route"] for one in found}
    assert not any(one["logger"] == "uvicorn.access" for one in lines(front))
    text = front.log.read_text()
    assert TOKEN not in text
    assert KEY not in text


@pytest.mark.slow("a front end of its own")
def test_a_fault_is_one_problem_with_the_id_of_its_traceback(front: Front) -> None:
    with sqlite3.connect(front.settings.home / "catalog.sqlite") as catalog:
        catalog.execute("ALTER TABLE families RENAME TO gone")
    answer = front.client.get("/families")
    assert answer.status_code == 500
    id_ = answer.headers["x-request-id"]
    front.stop()
    told = [one for one in lines(front) if one.get("request_id") == id_]
    assert any("Traceback" in one.get("exception", "") for one in told)
    assert any(one.get("status") == 500 for one in told)
