"""Which layers a student keeps: planned from headers, measured by a worker, final from then on."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.states import StudentState
from boomerang.family.layer_map import LayerMap
from boomerang.quality.choosing.similarity import similarity_map
from boomerang.recipes.recipe import Recipe
from boomerang.service.jobs import Measure
from boomerang.service.settings import Settings
from boomerang.texts.texts import Texts
from tests.app.conftest import Front, problem
from tests.support.outbox import Outbox
from workers.context import Context
from workers.distill import distill

pytestmark = pytest.mark.slow("a teacher is measured and a student trained, each in a process")

FIELDS = {
    "steps": 1, "batch_tokens": 32, "sequence_length": 16, "learning_rate": 0.01,
    "map": "similarity",
}  # fmt: skip
"""A recipe that measures; a request that gives it by its fields names its map."""
PUBLISHED = LayerMap.published(8)


def made(front: Front, key: str, **settings: Any) -> tuple[str, Outbox]:
    """What a worker does for a student, with the real measurer and the real trainer."""
    outbox = Outbox()
    changed: Settings = front.settings.model_copy(update=settings)
    return distill(Context(changed, front.catalog, outbox), key), outbox


def measurer(folder: Path, kept: list[int], reason: str | None = None) -> tuple[str, ...]:
    """A measurer that finds these layers."""
    said = {"event": "map", "rule": "similarity", "kept": kept, "layers": 8, "reason": reason}
    script = folder / "measurer.py"
    script.write_text(f'print({json.dumps(said)!r})\nprint(\'{{"event": "done"}}\')\n')
    return (sys.executable, str(script))


@pytest.mark.long("a teacher is measured and a student trained, each in a process")
def test_a_provisional_ladder_becomes_final_once_the_layers_are_measured(front: Front) -> None:
    asked = {"recipe": FIELDS, "order": "auto", "budget": "16K"}
    family = front.queued(**asked)
    student = family["student"]
    assert (family["ladder"], student["map_rule"], student["pinned"]) == (
        "provisional", "similarity", None,
    )  # fmt: skip
    assert student["kept"] == [*PUBLISHED.kept]
    page = {"Accept": "text/html"}
    assert (
        "sizes are provisional" in front.client.get(f"/families/{family['id']}", headers=page).text
    )
    done, outbox = made(front, student["key"])
    assert (done, outbox.sent) == ("ready", [Measure(family=family["id"])])
    final = front.client.get(f"/families/{family['id']}").json()
    texts = Texts.open(front.models / "texts")
    wanted = similarity_map(front.models / "teacher", texts, Recipe.parse(FIELDS))
    assert final["student"]["kept"] == [*wanted.kept] != student["kept"]
    assert (final["ladder"], final["student"]["pinned"], final["student"]["map_reason"]) == (
        "final", True, None,
    )  # fmt: skip
    # As many layers in blocks that are no longer: the sizes are the same, of other layers.
    names = [[member["size"] for member in one["members"]] for one in (family, final)]
    assert names[0] == names[1]
    assert family["members"][0]["digest"] != final["members"][0]["digest"]
    assert [want["what"] for want in final["wants"]] == ["16K"]
    kinds = [event.kind for event in front.catalog.events_after(0, family["id"])]
    assert kinds.index("mapping") < kinds.index("map") < kinds.index("progress")
    shown = front.client.get(f"/families/{family['id']}", headers=page).text
    assert "provisional" not in shown
    assert "(by similarity)" in shown
    record = json.loads(
        (front.settings.student_folder(student["key"]) / "boomerang.json").read_text()
    )
    assert (record["kept"], record["key"]) == ([*wanted.kept], student["key"])
    # The same request is the same family; another order's is of the layers that were measured.
    assert front.queued(**asked)["id"] == family["id"]
    other = front.queued(recipe=FIELDS, order="first")
    assert (other["ladder"], other["student"]["kept"]) == ("final", [*wanted.kept])
    assert other["student"]["key"] == student["key"]
    long = ",".join(map(str, reversed(wanted.long)))
    assert front.queued(recipe=FIELDS, order=long)["ladder"] == "final"


@pytest.mark.long("a teacher is measured and a student trained, each in a process")
def test_a_size_that_is_no_more_leads_to_what_its_parameters_buy(
    front: Front, tmp_path: Path
) -> None:
    planned = front.queued(recipe=FIELDS)
    sizes = {member["size"]: member["parameters"] for member in planned["members"]}
    smallest, _, third, _ = sizes
    asked = front.queued(recipe=FIELDS, sizes=[third], budget="16K")
    assert asked["id"] == planned["id"]
    # Six layers and eight, where five to eight were planned.
    command = measurer(tmp_path, [0, 1, 2, 3, 4, 5], "Few words.")
    assert made(front, planned["student"]["key"], measurer=command)[0] == "ready"
    final = front.client.get(f"/families/{planned['id']}").json()
    assert final["student"]["map_reason"] == "Few words."
    least, teacher = [member["size"] for member in final["members"]]
    assert [least, teacher] == [*sizes][1::2]
    for size, instead in ((smallest, least), (third, least)):
        answer = front.client.get(f"/models/{size}", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.headers["location"]) == (
            307, f"/models/{instead}?family={planned['id']}",
        )  # fmt: skip
    # What was asked for is known by what it may have; a budget is taken again.
    assert [want["what"] for want in final["wants"]] == [str(sizes[third]), "16K"]
    problem(front.client.get("/models/1K"), 422, "budget-out-of-range")


@pytest.mark.parametrize("state", [StudentState.READY, StudentState.DISTILLING])
def test_who_names_no_map_joins_a_student_of_the_published_one(
    make_front: Any, tmp_path: Path, state: StudentState
) -> None:
    file = tmp_path / "ours.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in FIELDS.items()]
    file.write_text("\n".join(lines))
    front: Front = make_front(BOOMERANG_RECIPE=str(file))
    before = front.queued(map="published")
    assert (before["ladder"], before["student"]["map_rule"]) == ("final", None)
    front.catalog.set_student_state(before["student"]["key"], state)
    joined = front.queued()
    assert joined["id"] == before["id"]
    assert joined["ladder"] == "final"
    # Another map is asked for; then who names none is still with the older one.
    other = front.queued(map="similarity")
    assert (other["ladder"], other["student"]["recipe"]["map"]) == ("provisional", "similarity")
    assert other["student"]["key"] != before["student"]["key"]
    assert front.queued()["id"] == before["id"]
    # One that failed, or has other text or another recipe, is not joined.
    if state is StudentState.DISTILLING:
        front.catalog.set_student_state(before["student"]["key"], StudentState.FAILED)
        assert front.queued()["id"] == other["id"]


@pytest.mark.long("students are trained, each in a process")
def test_the_key_holds_the_rule_and_how_many_layers_and_not_which(
    front: Front, tmp_path: Path
) -> None:
    measured = front.queued(recipe=FIELDS)
    key = measured["student"]["key"]
    keys = {key, front.queued(recipe={**FIELDS, "map": "published"})["student"]["key"]}
    keys.add(
        front.queued(recipe=FIELDS | {"map": "published"}, kept=[0, 1, 2, 4, 6])["student"]["key"]
    )
    assert len(keys) == 3
    assert made(front, key, measurer=measurer(tmp_path, [0, 1, 2, 4, 6]))[0] == "ready"
    assert front.queued(recipe=FIELDS)["student"]["key"] == key
    assert front.catalog.student(key).kept == (0, 1, 2, 4, 6)
    again = front.client.post(f"/families/{measured['id']}/rebuild", json={"force": True}).json()
    assert again["student"]["kept"] == [0, 1, 2, 4, 6]
    assert (again["ladder"], again["student"]["generation"]) == ("final", 2)


def test_what_does_not_go_together_is_refused(front: Front) -> None:
    both = {"teacher": "teacher", "data": "texts", "map": "similarity"}
    problem(front.post(**both, kept=[0, 2]), 422, "bad-request")
    problem(front.post(**both, student="student"), 422, "bad-request")
    problem(front.post(**both, base="base"), 422, "bad-request")
    problem(front.post(**(both | {"map": "luck"})), 422, "bad-request")
    problem(
        front.post(teacher="teacher", data="texts", recipe={**FIELDS, "kept": [0, 2]}),
        422, "bad-recipe",
    )  # fmt: skip
    said = problem(front.post(**both, order="3,2,1"), 422, "bad-request")
    assert "still to be measured" in said["detail"]
    problem(front.post(**both, order="nonsense"), 422, "bad-composition")
