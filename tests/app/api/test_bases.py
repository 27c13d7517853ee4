"""Families for free: a fine-tune asked for with its base; and text that lies on the Hub."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front, problem
from tests.local_hub.fixture import LocalHub


def fine_tune(front: Front, name: str = "tuned") -> Path:
    """A model beside the teacher that was trained a little further."""
    folder = front.models / name
    shutil.copytree(front.models / "teacher", folder)
    tensors = load_file(folder / "model.safetensors")
    torch.manual_seed(1)
    moved = {n: t + 0.01 * torch.randn_like(t) for n, t in tensors.items()}
    save_file(moved, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def base_is_ready(front: Front) -> str:
    """The teacher's student, as if it had been distilled; its key."""
    key: str = front.queued()["student"]["key"]
    shutil.copytree(front.models / "student", front.settings.student_folder(key))
    front.catalog.set_student_state(key, StudentState.READY)
    return key


def test_a_fine_tune_is_planned_from_the_student_of_its_base(front: Front) -> None:
    fine_tune(front)
    key = base_is_ready(front)
    answer = front.post(teacher="tuned", base="teacher")
    assert answer.status_code == 202, answer.text
    body = answer.json()
    student = body["student"]
    assert student["state"] == "queued"
    assert (student["recipe_name"], student["teacher"]) == ("delta", "tuned")
    assert student["recipe"]["delta"]["base_student"] == key
    assert student["kept"] == list(front.catalog.student(key).kept)
    assert body["cost"]["distillation"] is None
    of_base = front.post(teacher="teacher", data="texts").json()
    assert len(body["members"]) == len(of_base["members"])
    assert str(front.models) not in answer.text
    assert front.post(teacher="tuned", base="teacher").json()["id"] == body["id"]
    # Without a base it is another student, which is distilled.
    other = front.post(teacher="tuned", data="texts").json()
    assert other["student"]["key"] != student["key"]
    assert other["student"]["recipe_name"] == "smoke"


def test_auto_reads_the_card(front: Front) -> None:
    folder = fine_tune(front)
    base_is_ready(front)
    said = problem(front.post(teacher="tuned", base="auto"), 422, "bad-request")
    assert "names no base_model" in said["detail"]
    (folder / "README.md").write_text("---\nbase_model: teacher\n---\n# Tuned\n")
    body = front.post(teacher="tuned", base="auto").json()
    assert body["student"]["recipe"]["delta"]["base"] == "teacher"
    named = front.post(teacher="tuned", base="teacher").json()
    assert named["student"]["key"] == body["student"]["key"]


def test_what_cannot_be_transferred_is_refused_with_the_fix(front: Front) -> None:
    folder = fine_tune(front)
    said = problem(front.post(teacher="tuned", base="teacher"), 422, "bad-recipe")
    assert "has no student that is ready" in said["detail"]
    assert "Ask for the family of 'teacher' first" in said["fix"]
    front.queued()
    said = problem(front.post(teacher="tuned", base="teacher"), 422, "bad-recipe")
    assert "(queued)" in said["detail"]
    base_is_ready(front)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"] + 1
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    said = problem(front.post(teacher="tuned", base="teacher"), 422, "student-mismatch")
    assert "no fine-tune of that base: a tied head" in said["detail"]
    both = front.post(teacher="tuned", base="teacher", student="student")
    assert "beside a student" in problem(both, 422, "bad-request")["detail"]


def test_a_family_of_an_instruct_teacher_needs_text_and_instructions(front: Front) -> None:
    said = problem(
        front.post(teacher="teacher", data="texts", recipe="instruct"), 422, "bad-recipe"
    )
    assert "'texts' has no instructions to train on" in said["detail"]
    assert "prompt and completion" in said["fix"]
    row = json.dumps({"prompt": "in the beginning", "completion": "was the word"})
    (front.models / "chat.jsonl").write_text(row)
    said = problem(
        front.post(teacher="teacher", data="chat.jsonl", recipe="instruct"), 422, "bad-recipe"
    )
    assert "no plain text" in said["detail"]
    both = ["texts/", "chat.jsonl"]
    body = front.queued(data=both, recipe="instruct")
    student = body["student"]
    assert (student["recipe_name"], student["recipe"]["loss_on"]) == ("instruct", "completions")
    assert student["recipe"]["phases"][1] == {"until": 1.0, "instruction_share": 1.0}
    assert body["cost"]["distillation"]["tokens"] == 480 * 2_097_152
    found = front.catalog.student(student["key"])
    assert found.data == json.dumps([str(front.models / name.rstrip("/")) for name in both])
    assert front.queued(data=["texts", "chat.jsonl"], recipe="instruct")["id"] == body["id"]
    assert front.queued(data="texts", recipe="smoke")["student"]["key"] != student["key"]
    assert front.queued(data=["texts"])["student"]["key"] == front.queued()["student"]["key"]
    page = front.client.get(f"/families/{body['id']}", headers={"Accept": "text/html"})
    assert "instruct" in page.text
    problem(front.post(teacher="teacher", data=[]), 422, "bad-request")
    problem(front.post(teacher="teacher", data=["texts", "nothing"]), 422, "bad-recipe")


@pytest.mark.parametrize("column", [None, "content"])
def test_text_of_the_hub_is_part_of_the_students_key(
    column: str | None, make_front: Callable[..., Front], hub: LocalHub, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    row = json.dumps({column or "text": "in the beginning was the word"})
    (tmp_path / "files/all.jsonl").write_text(row)
    commit = hub.add_repo("datasets/some/texts", tmp_path / "files")
    front = make_front(HF_ENDPOINT=hub.endpoint)
    data = {"id": "some/texts"} if column is None else {"id": "some/texts", "text": column}
    first = front.queued(data=data)["student"]
    found = front.catalog.student(first["key"])
    suffix = "" if column is None else f"#{column}"
    assert found.data == f"hf://datasets/some/texts@{commit}{suffix}"
    assert front.queued(data={**data, "revision": commit})["student"]["key"] == first["key"]
    assert front.queued(data=f"hf://datasets/some/texts{suffix}")["student"]["key"] == first["key"]
    hub.store.repos["datasets/some/texts"].commit("main", "again", {"b.txt": hub.store.blob(b"b")})
    assert front.queued(data=data)["student"]["key"] != first["key"]
    assert front.queued(data="texts")["student"]["key"] != first["key"]
    said = problem(front.post(teacher="teacher", data={"id": "some/thing"}), 422, "bad-recipe")
    assert "no dataset" in said["detail"]
    said = problem(front.post(teacher="teacher", data={"id": "no-owner"}), 422, "bad-recipe")
    assert "owner/name" in said["fix"]
