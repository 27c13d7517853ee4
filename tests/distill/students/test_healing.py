"""A member that is trained by itself: what it begins as, what comes out, how it goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from boomerang.assembly.bytefile import write_folder
from boomerang.assembly.stitch import member_files
from boomerang.checkpoint.folders import content_commit
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.job import Heal
from boomerang.distill.students import student as students
from boomerang.distill.students.healing import Healing
from boomerang.errors import BadComposition
from boomerang.family.composition import Composition, composition_of
from boomerang.family.healed import healed_pair
from boomerang.family.ladder import Ladder
from boomerang.family.pair import Pair
from boomerang.modules.load import load
from boomerang.recipes.recipe import Recipe, heal_key
from boomerang.texts.texts import Texts
from tests.distill.jobs import RECIPE, job, save_texts, save_tokenizer, told
from tests.distill.test_train import begin
from tests.support.cli_stub import boomerang, error
from tests.support.cli_stub import told as cli
from tests.support.models import Duo, duo

PLAIN = {"steps": 60, "patch_probability": 0, "kl_weight": 1.0, "ce_weight": 0.1}


def heal_of(made: Duo, code: str) -> dict[str, Any]:
    return {"student": str(made.student_folder), "student_key": "b" * 32, "code": code}


def assembled(made: Duo, code: str, out: Path) -> dict[str, torch.Tensor]:
    """The weights of a member as it is served."""
    composition = composition_of(made.pair.layermap, code)
    write_folder(member_files(made.pair, composition, record={}), out)
    loaded, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"]
    weights: dict[str, torch.Tensor] = loaded.state_dict()
    return weights


CODES = ["ssbbs+stt", "bsffb+tts", "sssss+sss", "ssbsb+sst", "bbsbb+tss"]
"""Of the map 0-1, 2, 3-4, 5-6, 7: members with ends of either side."""


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "own"])
@pytest.mark.parametrize("kind", ["qwen3-tied", "gpt2", "llama", "gemma3_text", "gpt_oss"])
def test_training_begins_with_the_member_as_it_is_served(
    kind: str, frozen: bool, tmp_path: Path
) -> None:
    made = duo(tmp_path, kind, frozen=frozen)
    files = Checkpoint.open(made.teacher_folder)
    teacher = load(made.teacher_folder, dtype=None)
    before = {name: tensor.clone() for name, tensor in teacher.model.state_dict().items()}
    for code in CODES:
        expected = assembled(made, code, tmp_path / code)
        healing = Healing.open(files, Heal.model_validate(heal_of(made, code)))
        pair = healing.pair(freezes=True)
        student = students.initialise(teacher, students.config_of(pair), pair.layermap)
        healing.begin(student)
        state = student.model.state_dict()
        assert state.keys() == expected.keys()
        assert [name for name in state if not state[name].equal(expected[name])] == []
        # What is trained is a copy: the teacher stays what it is.
        with torch.no_grad():
            for parameter in student.model.parameters():
                parameter.add_(1.0)
        now = teacher.model.state_dict()
        assert all(now[name].equal(before[name]) for name in before)


def test_a_healed_size_is_counted_as_the_member_was(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama-tied")
    for code in CODES:
        composition = composition_of(made.pair.layermap, code)
        pair = healed_pair(made.pair, composition, freezes=True)
        order = pair.layermap.long
        ladder = Ladder.of(pair, order)
        parameters = sum(t.numel() for t in stored(made, code, tmp_path / code).values())
        student = Composition.patched(pair.layermap, ())
        counted = [m.parameters for m in ladder.members if m.composition == student]
        # One that is no smaller than the teacher is no size on offer.
        assert counted in ([parameters], [])
        assert bool(counted) is (parameters < made.teacher.num_parameters())
    with pytest.raises(BadComposition, match="nothing to heal"):
        healed_pair(made.pair, composition_of(made.pair.layermap, "bsbbs+tts"), freezes=True)


def stored(made: Duo, code: str, out: Path) -> dict[str, torch.Tensor]:
    composition = composition_of(made.pair.layermap, code)
    write_folder(member_files(made.pair, composition, record={}), out)
    return load_file(out / "model.safetensors")


@pytest.fixture
def pair(tmp_path: Path) -> Duo:
    made = duo(tmp_path, "qwen3-tied", frozen=True)
    save_tokenizer(made.teacher_folder)
    save_texts(tmp_path / "texts")
    return made


@pytest.mark.long("the trainer makes steps")
def test_a_healed_member_is_nearer_to_the_teacher_and_a_student_of_its_own(
    pair: Duo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heal = heal_of(pair, "ssbbs+stt") | {"size": "9K"}
    status, said = told(job(tmp_path, recipe=PLAIN, heal=heal), capsys)
    assert status == 0, said[-1]
    out = tmp_path / "a-student"
    record = json.loads((out / "boomerang.json").read_text())
    healed = record["healed"]
    assert (healed["student_key"], healed["code"]) == ("b" * 32, "ssbbs+stt")
    assert (healed["size"], record["steps"], record["recipe"]["steps"]) == ("9K", 60, 60)
    assert record["final"]["kl"] < 0.8 * healed["before"]["kl"]
    assert (record["kept"], record["frozen_embeddings"]) == ([0, 2, 3, 4, 5, 6, 7], True)
    loaded, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert loaded.config.num_hidden_layers == 7
    family = Pair.of(Checkpoint.open(pair.teacher_folder), Checkpoint.open(out))
    assert (family.layermap.kept, family.shared_embeddings) == ((0, 2, 3, 4, 5, 6, 7), True)
    # Every layer was trained, the teacher's too.
    was = assembled(pair, "ssbbs+stt", tmp_path / "was")
    now = loaded.state_dict()
    still = {name for name in was if now[name].equal(was[name])}
    assert still == {"model.embed_tokens.weight", "lm_head.weight"}


@pytest.mark.long("the trainer as a process, killed and begun again")
def test_killed_it_goes_on_to_the_same_weights(
    pair: Duo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more: dict[str, Any] = {"heal": heal_of(pair, "ssfbs+stt"), "checkpoint_seconds": 0}
    path = job(tmp_path, "killed", recipe=PLAIN, **more)
    process = begin(path, until="checkpoint")
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "killed-student").exists()
    status, said = told(path, capsys)
    (start,) = [event for event in said if event["event"] == "start"]
    assert status == 0
    assert 0 < start["step"] < 60
    assert told(job(tmp_path, "once", recipe=PLAIN, **more), capsys)[0] == 0
    killed, once = (tmp_path / f"{name}-student" for name in ("killed", "once"))
    weights = [load_file(folder / "model.safetensors") for folder in (killed, once)]
    assert all(weights[1][name].equal(weights[0][name]) for name in weights[1])
    records = [json.loads((folder / "boomerang.json").read_text()) for folder in (killed, once)]
    assert records[0]["healed"] == records[1]["healed"]


@pytest.mark.slow("the trainer makes steps")
def test_a_member_with_a_head_of_its_own_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Teacher and student tied, but not with the same embeddings.
    made = duo(tmp_path, "qwen3-tied")
    save_tokenizer(made.teacher_folder)
    save_texts(tmp_path / "texts")
    heal = heal_of(made, "ssbbs+stt")
    status, said = told(job(tmp_path, recipe=PLAIN | {"steps": 3}, heal=heal), capsys)
    assert status == 0, said[-1]
    out = tmp_path / "a-student"
    loaded = AutoModelForCausalLM.from_pretrained(out)
    assert loaded.config.tie_word_embeddings is False
    state, student = loaded.state_dict(), load_file(made.student_folder / "model.safetensors")
    name = "model.embed_tokens.weight"
    assert state[name].equal(student[name])
    assert not state["lm_head.weight"].equal(state[name])
    assert json.loads((out / "boomerang.json").read_text())["frozen_embeddings"] is False


def test_the_teacher_itself_is_refused(
    pair: Duo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told(job(tmp_path, heal=heal_of(pair, "bbbbb+ttt")), capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-composition")
    assert "nothing to heal" in said[-1]["detail"]


@pytest.mark.long("the command line and the trainer, each a process")
def test_the_command_line_heals_a_size(pair: Duo, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("\n".join(f"{key} = {value}" for key, value in (RECIPE | PLAIN).items()))
    models = pair.teacher_folder, pair.student_folder
    sizes = [one["size"] for one in cli("plan", models[0], "--student", models[1])["members"]]
    asked = ("heal", *models, "--order", "first", "--text", tmp_path / "texts", "--recipe", recipe)
    size = (*asked, "--steps", 3, "--out", tmp_path / "out", "--size")
    record = cli(*size, sizes[1])
    assert (record["healed"]["size"], record["healed"]["code"]) == (sizes[1], "bbsss+tss")
    assert (record["steps"], record["kept"]) == (3, [0, 1, 2, 3, 5, 7])
    assert not (tmp_path / ".out.run").exists()
    commits = [Checkpoint.open(model) for model in models]
    commit, student = (content_commit(checkpoint) for checkpoint in commits)
    made = Recipe.load(recipe).override(steps=3, map="published")
    digest = Texts.open(tmp_path / "texts").digest
    assert record["key"] == heal_key(commit, student, "bbsss+tss", made, digest)
    # It is there: nothing is trained, and nothing overwritten.
    assert cli(*size, sizes[1]) == record
    assert "is not the student" in error(*size, sizes[2])
    assert "nothing to heal" in error(*size, sizes[-1])
    assert "no size 'huge'" in error(*size, "huge")
    assert "no recipe 'none'" in error(*size, sizes[1], "--recipe", "none")
    assert "Give the text" in error("heal", *models, "--size", sizes[1], "--out", tmp_path / "out")
    shown = boomerang(*size, sizes[1]).stdout
    assert f"{sizes[1]} healed, 3 steps" in shown
    # What was healed is a student, and its sizes can be healed in turn.
    plan = cli("plan", models[0], "--student", tmp_path / "out")
    assert [one["layers"] for one in plan["members"]] == [6, 7, 8]
