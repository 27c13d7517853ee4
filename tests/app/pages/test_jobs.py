"""The page of jobs: what runs, waits and failed, with what helps for those who may do it."""

from collections.abc import Callable

import httpx
from bs4 import BeautifulSoup

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front
from tests.app.pages.test_pages import HTML, page


def words(text: str) -> str:
    return " ".join(BeautifulSoup(text, "html.parser").get_text(" ").split())


def test_a_job_from_waiting_to_failed(shared: Front) -> None:
    made = shared.queued()
    key = made["student"]["key"]
    text = words(page(shared, "/jobs"))
    assert "0 running 1 waiting 0 failed" in text
    assert "No worker has anything to do." in text
    assert "Distillation teacher queue distill for" in text
    lease = shared.catalog.lease_acquire(f"student:{key}", "gpu7:41:ab:9", 60)
    shared.catalog.set_student_state(key, StudentState.DISTILLING, lease=lease)
    shared.catalog.student_progress(key, {"step": 3, "steps": 8}, lease=lease)
    part = shared.client.get("/jobs?part=jobs", headers=HTML)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "on gpu7:41 for" in words(part.text)
    assert f'class="steps" data-student="{key}"' in part.text
    assert 'data-on="families"' in part.text
    shared.catalog.set_student_state(key, StudentState.FAILED, "<no> text", lease=lease)
    text = page(shared, "/jobs")
    assert "&lt;no&gt; text" in text
    assert "Put right what it names, then retry" in text
    assert f'action="/forms/families/{made["id"]}/retry"' in text
    answer = shared.client.get("/jobs", headers={"Accept": "application/json"})
    assert answer.json()["counts"]["failed"] == 1
    assert answer.headers["vary"] == "Accept"


def test_sizes_that_only_wait_are_one_line(front: Front) -> None:
    family = front.ready()
    front.catalog.set_measuring(family.id, Fact.NO)
    front.catalog.add_requests(family.id, [NewRequest(kind="publish", what="*")])
    [request] = front.catalog.requests(family.id)
    members = front.catalog.members(family.id)
    front.catalog.open_request(request, members)
    text = words(page(front, "/jobs"))
    assert f"Publication of {len(members)} sizes teacher" in text
    assert " · ".join(member.size for member in members) in text


def test_who_may_only_read_is_offered_nothing(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="build:maker,read:reader")
    key = front.queued()["student"]["key"]
    front.catalog.set_student_state(key, StudentState.FAILED, "no text")
    front.catalog.lease_acquire("rebuild:x", "gpu7:41:ab:9", 60)
    seen = {}
    for name in ("maker", "reader"):
        headers = HTML | {"Authorization": f"Bearer {name}"}
        seen[name] = httpx.get(f"{front.base}/jobs", headers=headers, trust_env=False).text
    assert "/retry" in seen["maker"]
    assert "gpu7" in seen["maker"]
    assert "/retry" not in seen["reader"]
    assert "gpu7" not in seen["reader"]
