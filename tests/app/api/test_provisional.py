"""Families of files that nobody has hashed: answered at once, and named when that is done."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.pipeline import take
from boomerang.service.jobs import Distill
from boomerang.service.models.digests import AT_ONCE
from tests.app.api.test_families import database, messages, queue
from tests.app.conftest import Front, problem
from tests.support.outbox import Outbox
from tests.support.sparse import llama
from workers import keying
from workers.context import Context

pytestmark = pytest.mark.slow("large files are hashed behind requests")

__all__ = ["database", "queue"]

ASKED = {"teacher": "large", "data": "texts", "order": "last"}


def large(front: Front, name: str = "large", layers: int = 8) -> Path:
    """A teacher too large to be hashed while somebody waits, of holes."""
    folder = front.models / name
    llama(folder, layers, 1024)
    assert (folder / "model.safetensors").stat().st_size > AT_ONCE
    return folder


def test_the_answer_comes_before_the_files_are_hashed(front: Front) -> None:
    large(front)
    answer = front.post(**ASKED, budget="100M")
    assert answer.status_code == 202, answer.text
    body = answer.json()
    address = answer.headers["location"]
    assert address == f"/families/{body['id']}"
    assert body["provisional"] is True
    assert body["student"]["state"] == "hashing"
    assert body["hashing"] == {"done": 0, "total": body["hashing"]["total"]}
    assert body["hashing"]["total"] > AT_ONCE
    assert body["commit"] is body["student"]["key"] is body["student"]["teacher_commit"] is None
    # The whole plan is there, and nothing that its content would name.
    teacher = Checkpoint.open(front.models / "large")
    assert body["members"][-1]["parameters"] == teacher.parameters
    assert {member["digest"] for member in body["members"]} == {None}
    assert body["budget"]["parameters"] <= 100_000_000
    assert body["cost"]["distillation"]["tokens"]
    assert [(w["what"], w["state"]) for w in body["wants"]] == [("100M", "no")]
    assert str(front.models) not in answer.text
    assert front.catalog.students() == front.catalog.families() == ()
    # It is listed and shown, and nothing of it is served.
    assert front.client.get(address).json()["student"]["state"] == "hashing"
    assert [f["id"] for f in front.client.get("/families").json()["families"]] == [body["id"]]
    for page in ("/", address):
        shown = front.client.get(page, headers={"Accept": "text/html"})
        assert "hashed" in shown.text
        assert "large" in shown.text
    assert front.client.get("/models").json() == {"models": []}
    size = body["members"][0]["size"]
    for path in (f"/models/{size}", f"/models/{size}/config.json", "/models"):
        refused = front.client.get(path, params={"family": body["id"]})
        problem(refused, 409, "not-ready")
        assert refused.headers["retry-after"] == "5"
    problem(front.client.get(f"/models/{size}"), 404, "size-not-found")
    assert front.client.get(f"/boomerang/large-{size}/resolve/main/config.json").status_code == 404


def test_it_becomes_the_family_that_its_content_names(front: Front) -> None:
    large(front)
    first = front.post(**ASKED, budget="100M").json()
    id_, size = first["id"], first["members"][0]["size"]
    # The same with another size is the same family.
    assert front.post(**ASKED, sizes=[size]).json()["id"] == id_
    said, outbox = front.key(id_)
    assert said == "keyed"
    (family,), (student,) = front.catalog.families(), front.catalog.students()
    assert family.id != id_
    assert [job for job in outbox.sent if isinstance(job, Distill)] == [Distill(key=student.key)]
    assert [request.what for request in front.catalog.requests(family.id)] == ["100M", size]
    # Named as if its files had been hashed in the request, as they were before.
    request = FamilyRequest.model_validate(ASKED)
    planned = take(front.settings, front.catalog, request, at_once=1 << 40).records
    assert (planned.family.id, planned.student.key) == (family.id, student.key)
    assert front.key(id_)[0] == "not waiting"
    # Both ids are good for ever, and asked again it is answered with the one.
    for name in (id_, family.id):
        found = front.client.get(f"/families/{name}").json()
        assert (found["id"], found["commit"]) == (family.id, family.commit)
        assert found["student"]["state"] == "queued"
        assert "provisional" not in found
        listed = front.client.get("/models", params={"family": name}).json()["models"]
        assert {member["family"] for member in listed} == {family.id}
    assert front.post(**ASKED).json()["id"] == family.id
    problem(front.client.get(f"/models/{size}?family={id_}"), 409, "not-ready")
    rebuilt = front.client.post(f"/families/{id_}/rebuild")
    assert rebuilt.json()["id"] == family.id
    assert front.client.post(f"/families/{id_}/cancel").json()["id"] == family.id
    assert front.client.delete(f"/families/{id_}").status_code == 204
    problem(front.client.get(f"/families/{id_}"), 404, "family-not-found")


def test_what_is_served_by_the_provisional_id(front: Front) -> None:
    large(front)
    llama(front.models / "small", 2, 1024)
    kept = {"copied_teacher_layers": [0, 7]}
    (front.models / "small" / "student_config.json").write_text(json.dumps(kept))
    asked = front.family(teacher="large", student="small")
    assert asked["provisional"]
    family = front.settle(asked["id"])
    for member in asked["members"]:
        answer = front.client.head(member["url"])
        assert answer.status_code == 200, member["url"]
        assert answer.headers["etag"] == front.client.head(
            f"/models/{member['size']}?family={family.id}"
        ).headers["etag"]  # fmt: skip


@pytest.mark.long("large files are hashed behind requests")
def test_a_hundred_equal_requests_send_one_hashing(
    make_front: Callable[..., Front], queue: tuple[str, redis.Redis]
) -> None:
    url, client = queue
    front = make_front(BOOMERANG_REDIS_URL=url)
    large(front)
    gate = threading.Barrier(25)

    def ask(number: int) -> str:
        gate.wait(30)
        answer = httpx.post(f"{front.base}/families", json=ASKED, timeout=60, trust_env=False)
        assert answer.status_code == 202
        return str(answer.json()["id"])

    with ThreadPoolExecutor(25) as pool:
        ids = set(pool.map(ask, range(100)))
    assert len(ids) == 1
    assert messages(client, "assemble") == ["boomerang.key"]
    said, outbox = front.key(ids.pop())
    assert said == "keyed"
    assert len(outbox.sent) == len(front.catalog.families()) == len(front.catalog.students()) == 1


def test_cancelled_asked_again_rebuilt_and_deleted(
    make_front: Callable[..., Front], queue: tuple[str, redis.Redis]
) -> None:
    url, client = queue
    front = make_front(BOOMERANG_REDIS_URL=url)
    large(front)
    id_ = front.post(**ASKED).json()["id"]
    address = f"/families/{id_}"
    waiting = front.client.post(f"{address}/rebuild")
    assert waiting.status_code == 202
    assert waiting.json()["event"] >= 1
    assert len(messages(client, "assemble")) == 1
    for again in (lambda: front.post(**ASKED), lambda: front.client.post(f"{address}/rebuild")):
        cancelled = front.client.post(f"{address}/cancel")
        assert cancelled.status_code == 202
        assert cancelled.json()["student"]["state"] == "cancelled"
        assert front.key(id_)[0] == "not waiting"
        assert again().json()["student"]["state"] == "hashing"
    assert messages(client, "assemble") == ["boomerang.key"] * 3
    assert front.client.delete(address).status_code == 204
    assert front.key(id_)[0] == "not waiting"
    for answer in (
        front.client.get(address),
        front.client.delete(address),
        front.client.post(f"{address}/cancel"),
        front.client.post(f"{address}/rebuild"),
        front.client.get(f"{address}/events"),
    ):
        assert problem(answer, 404, "family-not-found")["value"] == id_
    assert front.catalog.families() == front.catalog.students() == ()


@contextmanager
def followed(front: Front, address: str) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    def events(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)

    with front.client.stream("GET", f"{address}/events", timeout=20) as answer:
        yield events(answer)


def test_one_stream_tells_of_hashing_and_of_what_follows(front: Front) -> None:
    large(front)
    id_ = front.post(**ASKED).json()["id"]
    with followed(front, f"/families/{id_}") as events:
        assert next(events)[1]["state"] == "hashing"
        assert front.key(id_)[0] == "keyed"
        kind, said = next(events)
        assert kind == "hashing"
        assert said["total"] > AT_ONCE
        seen = [(kind, said)]
        while seen[-1][1].get("state") != "keyed":
            seen.append(next(events))
        (family,) = front.catalog.families()
        assert (seen[-1][1]["family"], seen[-1][1]["became"]) == (id_, family.id)
        front.catalog.student_note(family.student, "estimate", {"steps": 1})
        while (one := next(events))[0] != "estimate":
            pass
        assert one[1]["steps"] == 1
    with followed(front, f"/families/{family.id}") as events:
        assert next(events)[1]["state"] == "hashing"


@pytest.mark.long("large files are hashed behind requests")
def test_touched_files_are_hashed_behind_a_download(front: Front) -> None:
    folder = large(front)
    llama(front.models / "small", 2, 1024)
    kept = {"copied_teacher_layers": [0, 7]}
    (front.models / "small" / "student_config.json").write_text(json.dumps(kept))
    family = front.ready(teacher="large", student="small")
    url = f"/models/{front.catalog.members(family.id)[-1].size}"
    before = front.client.head(url).headers["etag"]
    os.utime(folder / "model.safetensors", ns=(1, 1))
    touched = front.client.get(url)
    problem(touched, 409, "hashing")
    assert touched.headers["retry-after"]
    context = Context(front.settings, front.catalog, Outbox())
    assert keying.rehash(context, family.student) == "hashed"
    assert front.client.head(url).headers["etag"] == before
    # The same size, another content: hashed, it is another file.
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"else")
    assert keying.rehash(context, family.student) == "hashed"
    problem(front.client.get(url), 410, "source-changed")
    assert FileSource.of(folder / "model.safetensors") in front.catalog.known_hashes(
        [FileSource.of(folder / "model.safetensors")]
    )


def test_what_is_wrong_with_a_request_is_said_at_once(front: Front) -> None:
    large(front)
    problem(front.post(teacher="large", student="student"), 422, "student-mismatch")
    problem(front.post(teacher="large", data="texts", budget="1"), 422, "budget-out-of-range")
    problem(front.post(teacher="large", data="nowhere"), 422, "bad-recipe")
    assert front.catalog.all_waiting() == ()
