"""A size asked for to be healed: planned from the family that it is of, or refused with the fix."""

import json
import shutil

from boomerang.assembly.bytefile import write_folder
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import StudentState
from boomerang.checkpoint.files import RECORD, STUDENT_CONFIG
from boomerang.family.composition import composition_of
from boomerang.recipes.recipe import Recipe
from boomerang.service.models import pairs
from boomerang.service.models.digests import AT_ONCE
from boomerang.service.models.members import member_files
from tests.app.conftest import Front, problem

HTML = {"Accept": "text/html"}


def family(front: Front) -> Family:
    """A family of the teacher whose student is distilled, as a worker leaves it."""
    asked = front.queued()
    distilled(front, asked["student"]["key"])
    return front.settle(asked["id"])


def distilled(front: Front, key: str) -> None:
    """The student's folder, as the trainer writes it."""
    folder = front.settings.student_folder(key)
    shutil.copytree(front.models / "student", folder)
    (folder / RECORD).write_text(json.dumps({"key": key, "frozen_embeddings": True}))


def test_it_is_planned_from_the_member_and_trained_as_the_student_was(front: Front) -> None:
    of = family(front)
    student = front.catalog.student(of.student)
    member = front.catalog.members(of.id)[1]
    answer = front.post(teacher="teacher", heal={"family": of.id, "size": member.size, "steps": 5})
    assert answer.status_code == 202, answer.text
    body = answer.json()
    healed = body["student"]
    assert body["id"] != of.id
    assert (healed["state"], healed["recipe_name"], healed["layers"]) == ("queued", "heal", 8)
    layers = composition_of(front.pair.layermap, member.code).layers
    assert healed["kept"] == [layer.teacher_index for layer in layers]
    recipe, smoke, heal = healed["recipe"], Recipe.load("smoke"), Recipe.load("heal")
    assert recipe["heal"] == {
        "family": of.id, "size": member.size, "code": member.code, "student": of.student,
    }  # fmt: skip
    assert (recipe["steps"], recipe["patch_probability"]) == (5, 0)
    assert (recipe["batch_tokens"], recipe["kl_weight"]) == (smoke.batch_tokens, heal.kl_weight)
    assert recipe["learning_rate"] < smoke.learning_rate
    # The text is that of the family, unless another is named.
    found = front.catalog.student(healed["key"])
    assert (found.data, found.data_digest) == (student.data, student.data_digest)
    smallest = body["members"][0]
    assert (smallest["size"], smallest["parameters"]) == (member.size, member.parameters)
    cost = body["cost"]["distillation"]
    assert (cost["steps"], cost["tokens"]) == (5, 5 * smoke.batch_tokens)
    assert str(front.models) not in answer.text
    asked = {"family": of.id, "size": member.size, "steps": 5}
    assert front.post(teacher="teacher", heal=asked).json()["id"] == body["id"]
    named = front.post(teacher="teacher", data="texts", heal=asked).json()
    assert named["student"]["key"] == healed["key"]
    others = [
        front.post(teacher="teacher", heal=asked | {"steps": 6}),
        front.post(teacher="teacher", heal=asked, recipe="smoke"),
        front.post(teacher="teacher", heal=asked | {"size": front.catalog.members(of.id)[0].size}),
    ]
    assert len({other.json()["student"]["key"] for other in others} | {healed["key"]}) == 4
    page = front.client.get(f"/families/{body['id']}", headers=HTML).text
    assert f'healed from</dt><dd>{member.size} of the family <a href="/families/{of.id}">' in page
    assert "healed from" not in front.client.get(f"/families/{of.id}", headers=HTML).text


def test_what_was_healed_is_served_says_so_and_is_no_base(front: Front) -> None:
    of = family(front)
    member = front.catalog.members(of.id)[1]
    asked = {"family": of.id, "size": member.size}
    body = front.post(teacher="teacher", heal=asked, order="last").json()
    key = body["student"]["key"]
    # As if healing had changed nothing.
    composition = composition_of(front.pair.layermap, member.code)
    pair = pairs.open_pair(front.settings, front.catalog, front.catalog.student(of.student))
    files, out = (
        member_files(front.settings, pair, member, record={}),
        front.settings.student_folder(key),
    )
    write_folder(files, out)
    kept = [layer.teacher_index for layer in composition.layers]
    (out / STUDENT_CONFIG).write_text(json.dumps({"copied_teacher_layers": kept}))
    (out / RECORD).write_text(json.dumps({"key": key, "frozen_embeddings": True}))
    made = front.settle(body["id"])
    assert list(front.catalog.student(key).kept) == kept
    served = front.client.get(f"/models/{member.size}", params={"family": made.id})
    assert served.status_code == 200
    smallest, larger, *_ = front.catalog.members(made.id)
    card = card_of(front, made, smallest.size)
    assert f"Healed from {member.size}, a size of the family of `teacher`" in card
    assert "\n| heal |" not in card
    assert f"a student healed from {member.size}" in card_of(front, made, larger.size)
    # A fine-tune's delta is taken from the student that was distilled.
    shutil.copytree(front.models / "teacher", front.models / "tuned")
    tuned = front.post(teacher="tuned", base="teacher").json()
    assert tuned["student"]["recipe"]["delta"]["base_student"] == of.student
    # And its sizes can be healed in turn, at the rate that it was healed with.
    again = front.post(teacher="teacher", heal={"family": made.id, "size": larger.size}).json()
    fields = again["student"]["recipe"]
    assert fields["heal"]["student"] == key
    assert fields["learning_rate"] == body["student"]["recipe"]["learning_rate"]


def card_of(front: Front, of: Family, size: str) -> str:
    name = front.catalog.names()[of.id]
    answer = front.client.get(f"/boomerang/{name}-{size}/resolve/main/README.md")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_what_cannot_be_healed_is_refused_with_the_fix(front: Front) -> None:
    asked = front.queued()
    first = asked["members"][0]["size"]
    heal = {"family": asked["id"], "size": first}
    said = problem(front.post(teacher="teacher", heal=heal), 409, "not-ready")
    assert "its student is queued" in said["detail"]
    assert f"/families/{asked['id']}/events" in said["fix"]
    distilled(front, asked["student"]["key"])
    front.catalog.set_student_state(asked["student"]["key"], StudentState.READY)
    said = problem(front.post(teacher="teacher", heal=heal), 409, "not-ready")
    assert "order is not chosen" in said["detail"]
    of = front.settle(asked["id"])
    teacher = front.catalog.members(of.id)[-1].size
    for size, status, slug in (
        ("huge", 404, "size-not-found"),
        ("7", 422, "budget-out-of-range"),
        (teacher, 422, "bad-composition"),
    ):
        problem(front.post(teacher="teacher", heal=heal | {"size": size}), status, slug)
    problem(
        front.post(teacher="teacher", heal=heal | {"family": "0" * 12}), 404, "family-not-found"
    )
    shutil.copytree(front.models / "teacher", front.models / "other")
    said = problem(front.post(teacher="other", heal=heal), 422, "bad-request")
    assert "is of 'teacher'" in said["detail"]
    for more in ({"student": "student"}, {"base": "teacher"}, {"kept": [0, 1, 2]}):
        said = problem(front.post(teacher="teacher", heal=heal, **more), 422, "bad-request")
        assert "beside another student" in said["detail"]
    problem(front.post(teacher="teacher", heal=heal | {"steps": 0}), 422, "bad-request")
    problem(front.post(teacher="teacher", heal={"family": of.id}), 422, "bad-request")
    # Instructions that the family's text has not.
    said = problem(
        front.post(teacher="teacher", heal=heal, recipe="instruct", data="texts"), 422, "bad-recipe"
    )
    assert "no instructions" in said["detail"]


def test_a_given_student_is_healed_on_the_text_that_is_named(front: Front) -> None:
    given = front.ready()
    size = front.catalog.members(given.id)[1].size
    asked = {"family": given.id, "size": size}
    said = problem(front.post(teacher="teacher", heal=asked), 422, "bad-recipe")
    assert "no text to distil on" in said["detail"]
    body = front.post(teacher="teacher", heal=asked, data="texts", recipe="smoke").json()
    assert (body["student"]["recipe_name"], body["student"]["state"]) == ("smoke", "queued")


def test_files_that_are_not_hashed_yet_are_hashed_first(front: Front) -> None:
    of = family(front)
    shutil.copytree(front.models / "texts", front.models / "much")
    with (front.models / "much/train.jsonl").open("r+b") as text:
        text.truncate(AT_ONCE + 1)
    asked = {"family": of.id, "size": front.catalog.members(of.id)[1].size}
    body = front.post(teacher="teacher", heal=asked, data="much").json()
    assert (body["provisional"], body["student"]["state"]) == (True, "hashing")
    inner = asked | {"family": body["id"]}
    said = problem(front.post(teacher="teacher", heal=inner), 409, "not-ready")
    assert "being hashed" in said["detail"]
    assert front.key(body["id"])[0] == "keyed"
    made = front.catalog.student(front.catalog.family(front.catalog.family_id(body["id"])).student)
    assert (made.recipe["heal"]["student"], made.state) == (of.student, StudentState.QUEUED)
    assert made.data == str(front.models / "much")
