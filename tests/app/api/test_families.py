"""Asking for families: planned at once, made once, changed and forgotten."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from boomerang.catalog.rebuilding import found_of_student
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.transitions import Actor
from boomerang.checkpoint.table import Checkpoint
from boomerang.processes.daemon import Daemon
from boomerang.service.running.parts import valkey, valkey_url
from boomerang.service.settings import Settings
from tests.app.conftest import Front, problem

pytestmark = pytest.mark.slow("a hundred requests at once")


@pytest.fixture
def database(url: str) -> dict[str, str]:
    return {"BOOMERANG_DATABASE_URL": url}


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[tuple[str, redis.Redis]]:
    """A real Valkey on its socket."""
    settings = Settings(home=tmp_path / "queue")
    child: Daemon = valkey(settings)
    child.start()
    assert child.wait_until_healthy(30, threading.Event())
    url = valkey_url(settings)
    client = redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))
    yield url, client
    client.close()
    child.stop()


def messages(client: redis.Redis, name: str) -> list[str]:
    return [json.loads(item)["headers"]["task"] for item in client.lrange(name, 0, -1)]


def test_a_request_is_answered_with_its_whole_ladder(front: Front) -> None:
    teacher = Checkpoint.open(front.models / "teacher")
    answer = front.post(teacher="teacher", data="texts", budget="16K")
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == f"/families/{body['id']}"
    members = body["members"]
    counts = [member["parameters"] for member in members]
    assert counts == sorted(counts)
    assert counts[-1] == teacher.parameters
    assert len(set(counts)) == len(counts) >= 3
    assert all((m["built"], m["measured"], m["published"]) == ("no",) * 3 for m in members)
    assert body["student"]["state"] == "queued"
    assert body["student"]["layers"] == 8
    largest = max(count for count in counts if count <= 16000)
    assert body["budget"]["parameters"] == largest
    assert body["budget"]["below_by"] == 16000 - largest
    assert body["budget"]["asked"] == "16K"
    work = body["cost"]["distillation"]
    assert work["tokens"] == work["steps"] * 512
    assert work["flops"] == work["tokens"] * (6 * counts[0] + 2 * counts[-1])
    assert body["cost"]["stored_bytes"] == members[0]["bytes"]
    assert [(w["kind"], w["what"], w["state"]) for w in body["wants"]] == [("build", "16K", "no")]
    # The address leads to the same family, in the list too; asked again it is the same one.
    again = front.client.get(answer.headers["location"]).json()
    assert again["members"] == members
    assert [f["id"] for f in front.client.get("/families").json()["families"]] == [body["id"]]
    assert front.post(teacher="teacher/", data="texts", budget="16K").json()["id"] == body["id"]
    assert len(front.catalog.requests(body["id"])) == 1


@pytest.mark.long("a hundred requests at once")
def test_a_hundred_equal_requests_make_one_distillation(
    make_front: Callable[..., Front], queue: tuple[str, redis.Redis]
) -> None:
    url, client = queue
    front = make_front(BOOMERANG_REDIS_URL=url)
    gate = threading.Barrier(25)

    def ask(number: int) -> tuple[int, str]:
        gate.wait(30)
        body = {"teacher": "teacher", "data": "texts", "budget": "16K"}
        answer = httpx.post(f"{front.base}/families", json=body, timeout=60, trust_env=False)
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(25) as pool:
        answers = Counter(pool.map(ask, range(100)))
    assert list(answers.values()) == [100]
    assert [status for status, _ in answers] == [202]
    assert len(front.catalog.families()) == len(front.catalog.students()) == 1
    assert messages(client, "distill") == ["boomerang.distill"]
    assert front.client.get("/readyz").status_code == 200
    # Another order of the same student is another family, and no distillation.
    other = front.post(teacher="teacher", data="texts", order="first").json()
    assert other["student"]["key"] == front.catalog.students()[0].key
    assert len(messages(client, "distill")) == 1


def test_without_a_queue_the_request_is_kept(front: Front) -> None:
    front.queued()
    problem(front.client.get("/readyz"), 503, "not-ready")
    assert front.catalog.students()[0].state is StudentState.QUEUED


def test_what_is_wanted(front: Front) -> None:
    first = front.family()
    small, large = first["members"][0], first["members"][-1]
    sizes = front.family(sizes=[small["size"].lower(), str(large["parameters"] - 1)])
    assert [w["what"] for w in sizes["wants"]] == [small["size"], first["members"][-2]["size"]]
    # An exact name is one, whichever way a budget is written; memory is counted.
    named = front.family(budget={"params": small["size"]})
    assert named["budget"]["size"] == small["size"]
    assert len(named["wants"]) == 2
    memory = front.family(budget={"memory": f"{large['bytes'] / 1000}KB", "dtype": "float32"})
    assert memory["budget"]["size"] == large["size"]
    assert memory["wants"][-1]["what"] == str(large["bytes"] // 4)
    assert front.family(budget="1T")["budget"]["size"] == large["size"]
    # Publishing with no size means every one.
    published = front.family(publish={"namespace": "me", "collection": "Ours"})
    request = published["wants"][-1]
    assert (request["kind"], request["what"]) == ("publish", "*")
    assert request["options"] == {
        "namespace": "me", "private": True, "collection": "Ours", "force": False,
    }  # fmt: skip


def test_cancel_and_ask_again(front: Front) -> None:
    made = front.queued()
    answer = front.client.post(f"/families/{made['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["student"]["state"] == "cancelled"
    assert front.queued()["student"]["state"] == "queued"


def test_rebuild_keeps_and_force_makes_anew(front: Front) -> None:
    family = front.ready()
    kept = front.client.post(f"/families/{family.id}/rebuild")
    assert kept.status_code == 202
    assert kept.headers["location"] == f"/families/{family.id}"
    assert kept.json()["event"] <= front.catalog.last_event()
    assert kept.json()["student"]["state"] == "ready"
    # What was asked stands at an address of its own; the same again joins it.
    assert front.client.post(f"/families/{family.id}/rebuild").json()["rebuild"] == 1
    address = f"/families/{family.id}/rebuilds"
    (listed,) = front.client.get(address).json()["rebuilds"]
    assert (listed["id"], listed["state"], listed["force"]) == (1, "no", False)
    assert front.client.get(f"{address}/1").json() == listed
    problem(front.client.get(f"{address}/2"), 404, "not-found")
    key = front.catalog.student(family.student).key
    unseen = Item(kind="student", name=key, state="unseen", reason="<its folder> is away")
    with front.catalog.db.write() as session:
        found_of_student(session, key, [unseen], Actor.WORKER)
    (said,) = front.client.get(f"{address}/1").json()["report"]["unseen"]
    assert (said["kind"], said["reason"]) == ("student", "<its folder> is away")
    page = front.client.get(f"/families/{family.id}", headers={"Accept": "text/html"}).text
    assert "&lt;its folder&gt; is away" in page
    forced = front.client.post(f"/families/{family.id}/rebuild", json={"force": True})
    assert forced.status_code == 202
    assert forced.json()["id"] != family.id
    assert forced.json()["student"]["generation"] == 2
    assert forced.headers["location"] == f"/families/{forced.json()['id']}"
    assert len(front.catalog.families()) == 2
    problem(
        front.client.post(f"/families/{family.id}/rebuild", json={"fast": 1}), 422, "bad-request"
    )


def test_a_student_that_is_gone_is_made_again_for_whoever_asks(front: Front) -> None:
    made = front.queued()
    folder = front.settings.student_folder(made["student"]["key"])
    shutil.copytree(front.models / "student", folder)
    front.catalog.set_student_state(folder.name, StudentState.READY)
    assert front.queued()["student"]["verify"] is None
    folder.rename(folder.with_name("elsewhere"))
    size = made["members"][0]["size"]
    problem(front.client.get(f"/models/{size}"), 410, "source-changed")
    again = front.queued()
    assert (again["id"], again["student"]["state"]) == (made["id"], "ready")
    # A worker looks, and finds that it is gone.
    assert again["student"]["verify"] is not None
    # Where the volume itself is not there, nothing is made again.
    folder.parent.rename(folder.parent.with_name("unmounted"))
    assert front.queued()["student"]["verify"] == again["student"]["verify"]


def test_delete(front: Front) -> None:
    family = front.ready()
    address = f"/families/{family.id}"
    assert front.client.delete(address).status_code == 204
    for answer in (
        front.client.get(address),
        front.client.delete(address),
        front.client.post(f"{address}/cancel"),
        front.client.post(f"{address}/rebuild"),
        front.client.get(f"{address}/events"),
        front.client.get("/models", params={"family": family.id}),
    ):
        assert problem(answer, 404, "family-not-found")["value"] == family.id
    assert front.client.get("/families").json() == {"families": []}
    # The student is still there: asked again, nothing is distilled.
    assert front.family()["student"]["state"] == "ready"


def test_kept_layers_make_another_student(front: Front) -> None:
    usual = front.post(teacher="teacher", data="texts").json()["student"]
    asked = front.post(teacher="teacher", data="texts", kept=[0, 1, 3, 5, 7])
    found = asked.json()["student"]
    assert found["kept"] == [0, 1, 3, 5, 7] != usual["kept"]
    assert found["key"] != usual["key"]
    listed = front.post(teacher="teacher", data="texts", kept=[0, 9])
    assert problem(listed, 422, "student-mismatch")["value"] == [0, 9]
    problem(front.post(teacher="teacher", data="texts", kept=[0], base="x"), 422, "bad-request")
