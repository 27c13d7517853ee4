"""GET /plan and GET /teachers: what a family would be, and of what, before anything is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front, problem
from tests.local_hub.fixture import LocalHub


def test_a_ladder_comes_from_headers_alone(shared: Front) -> None:
    before = shared.catalog.counts()
    plan = shared.client.get("/plan", params={"teacher": "teacher", "recipe": "smoke"}).json()
    sizes = [member["parameters"] for member in plan["members"]]
    assert sizes == sorted(sizes)
    assert plan["ladder"] == "final"
    assert plan["commit"] is None
    assert plan["layers"] == 8
    assert plan["longest"] == 64
    for member in plan["members"]:
        assert member["weights"]["bfloat16"] == 2 * member["parameters"]
        assert member["memory"]["weights"] == member["weights"]["bfloat16"]
        assert member["memory"]["total"] > member["memory"]["weights"] + member["memory"]["cache"]
    assert [fit["size"] for fit in plan["fits"]] == 5 * [plan["members"][-1]["size"]]
    assert plan["cost"]["distillation"]["flops"] == plan["cost"]["distillation"]["tokens"] * (
        6 * sizes[0] + 2 * sizes[-1]
    )
    # Nothing was recorded: not even what was hashed.
    assert shared.catalog.counts() == before
    # The same sizes as the request itself has.
    made = shared.post(teacher="teacher", data="texts").json()
    assert [m["size"] for m in made["members"]] == [m["size"] for m in plan["members"]]
    assert made["cost"] == plan["cost"]


def test_memory_grows_with_context_and_dtype(shared: Front) -> None:
    def last(**query: object) -> dict[str, int]:
        answer = shared.client.get("/plan", params={"teacher": "teacher", **query})
        found: dict[str, int] = answer.json()["members"][-1]["memory"]
        return found

    short, long, wide = last(context=16), last(context=32), last(context=16, dtype="float32")
    assert long["cache"] == wide["cache"] == 2 * short["cache"]
    assert wide["weights"] == 2 * short["weights"]


@pytest.mark.parametrize(
    ("query", "status", "slug"),
    [
        ({"teacher": "nothing"}, 502, "hub-failure"),
        ({"teacher": "nothing/here/below"}, 404, "teacher-not-found"),
        ({"teacher": "../secret"}, 422, "bad-name"),
        ({"teacher": "teacher", "budget": "much"}, 422, "bad-budget"),
        ({"teacher": "teacher", "budget": "1K"}, 422, "budget-out-of-range"),
        ({"teacher": "teacher", "recipe": "nothing"}, 422, "bad-recipe"),
        ({"teacher": "teacher", "dtype": "int3"}, 422, "bad-request"),
        ({"teacher": "teacher", "kept": "a,b"}, 422, "bad-request"),
        ({"teacher": "teacher", "context": "0"}, 422, "bad-request"),
        ({"teacher": "teacher", "recipe": "default", "order": "3,1"}, 422, "bad-request"),
        ({}, 422, "bad-request"),
    ],
)
def test_what_is_wrong_is_said_as_everywhere(
    shared: Front, query: dict[str, str], status: int, slug: str
) -> None:
    answer = shared.client.get("/plan", params=query)
    if slug == "hub-failure":
        # This front end's Hub is nowhere.
        assert answer.status_code in (502, 503), answer.text
        return
    problem(answer, status, slug)


def test_a_student_there_is_costs_no_time(shared: Front) -> None:
    query = {"teacher": "teacher", "student": "student", "order": "last", "budget": "6GB"}
    plan = shared.client.get("/plan", params=query).json()
    assert plan["recipe"] is plan["time"] is None
    assert plan["cost"]["distillation"] is None
    assert plan["kept"] == list(shared.pair.layermap.kept)
    assert plan["budget"]["size"] == plan["members"][-1]["size"]


def test_time_is_told_by_what_was_distilled_here(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_HOUR_COST="2.50 USD")
    query = {"teacher": "teacher", "recipe": "smoke"}
    time = front.client.get("/plan", params=query).json()["time"]
    assert (time["by"], time["runs"], time["seconds"]) == ("devices", 0, None)
    assert len(time["devices"]) == 3
    made = front.queued()
    key = front.catalog.family(made["id"]).student
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 8, "steps": 8, "tokens_per_s": 1000.0})
    front.catalog.set_student_state(key, StudentState.READY)
    plan = front.client.get("/plan", params=query).json()
    time, tokens = plan["time"], plan["cost"]["distillation"]["tokens"]
    assert (time["by"], time["runs"]) == ("here", 1)
    assert time["seconds"] == pytest.approx(tokens / 1000)
    assert time["cost"]["currency"] == "USD"
    assert time["cost"]["most"] == pytest.approx(tokens / 1000 / 3600 * 2.5, abs=0.01)


def test_teachers_are_folders_and_what_the_hub_finds(
    make_front: Callable[..., Front], hub: LocalHub
) -> None:
    front = make_front(HF_ENDPOINT=hub.url)
    hub.add_repo("me/teacher-hub", front.models / "teacher")
    hub.add_repo("me/teacher-private", front.models / "teacher", private=True)
    hub.add_repo("me/teacher-text", front.models / "texts")
    answer = front.client.get("/teachers", params={"q": "teach"}).json()
    found = [(one["name"], one["kind"]) for one in answer["teachers"]]
    assert found == [("teacher", "folder"), ("me/teacher-hub", "hub")]
    assert answer["hub"] is True
    every = front.client.get("/teachers").json()["teachers"]
    assert [one["name"] for one in every] == ["student", "teacher"]
    plan = front.client.get("/plan", params={"teacher": "me/teacher-hub", "recipe": "smoke"})
    assert len(plan.json()["commit"]) == 40
    # While a form is filled the Hub is asked once.
    asked = len(hub.lines("teacher-hub"))
    again = {"teacher": "me/teacher-hub", "recipe": "smoke", "context": 16}
    assert front.client.get("/plan", params=again).json()["commit"] == plan.json()["commit"]
    assert len(hub.lines("teacher-hub")) == asked


def test_without_the_hub_folders_are_found(
    make_front: Callable[..., Front], tmp_path: Path
) -> None:
    front = make_front()
    (front.models / "outside").symlink_to(tmp_path)
    answer = front.client.get("/teachers", params={"q": "STUD"}).json()
    assert answer == {
        "teachers": [{"name": "student", "kind": "folder", "parameters": None}], "hub": False,
    }  # fmt: skip


def test_who_may_only_read_has_nobody_asked(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="read:one")
    problem(front.client.get("/plan?teacher=teacher"), 403, "scope")
    problem(front.client.get("/teachers?q=teacher"), 403, "scope")
