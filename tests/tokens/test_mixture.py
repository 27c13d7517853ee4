"""Text and instructions in one run: what each step is made of, and what of it counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boomerang.cli.distill import text_of
from boomerang.recipes.recipe import Phase, Recipe
from boomerang.texts.conversations import DataKind
from boomerang.tokens.loss_mask import WITHIN, Sequences, label_count, loss_share
from boomerang.tokens.mixture import Mixture
from boomerang.tokens.windows import Stream
from tests.distill.jobs import RECIPE, TEMPLATE, job, save_conversations, save_teacher, save_texts
from tests.distill.jobs import told as run
from tests.distill.test_survival import EACH, curve, killed, of_kind, weights
from tests.support.cli_stub import error

LENGTH = 10
TALKS = 1000
"""The first token of the instructions here: below it is text."""


def mixture(*phases: tuple[float, float]) -> Mixture:
    streams: dict[DataKind, Stream] = {
        "text": Stream(np.arange(501, dtype=np.int32), LENGTH, end=2),
        "instructions": Stream(np.arange(TALKS, TALKS + 301, dtype=np.int32), LENGTH, end=2),
    }
    made = tuple(Phase(until=until, instruction_share=part) for until, part in phases)
    return Mixture(streams, made)


def talks(batch: torch.Tensor) -> int:
    """The sequences of instructions in a batch, each of which must be of one kind."""
    of_talks = batch >= TALKS
    assert torch.equal(of_talks.all(-1), of_talks.any(-1))
    return int(of_talks.all(-1).sum())


def test_phases_have_their_shares_and_each_stream_goes_on_where_it_was() -> None:
    mixed = mixture((0.25, 0.0), (0.75, 0.3), (1.0, 1.0))
    batches = [mixed.batch(5, step, 4, 40) for step in range(40)]
    assert all(batch.shape == (4, LENGTH + 1) for batch in batches)
    found = [talks(batch) for batch in batches]
    assert found[:10] == [0] * 10
    assert found[30:] == [4] * 10
    assert set(found[10:30]) == {1, 2}
    assert sum(found[10:30]) == 24
    for kind, stream in mixed.streams.items():
        rows = torch.cat([b[(b[:, 0] >= TALKS) == (kind == "instructions")] for b in batches])
        assert rows.equal(stream.batch(5, 0, len(rows)))


def test_a_step_depends_on_its_arguments_alone() -> None:
    phases = (0.5, 0.5), (1.0, 1.0)
    steps = [mixture(*phases).batch(1, step, 3, 30) for step in range(30)]
    once = mixture(*phases)
    for step in (29, 3, 14, 15):
        assert once.batch(1, step, 3, 30).equal(steps[step])
    assert not once.batch(2, 3, 3, 30).equal(steps[3])


def test_one_sequence_a_step_has_its_share_over_the_steps() -> None:
    mixed = mixture((1.0, 0.25))
    assert [talks(mixed.batch(0, step, 1, 8)) for step in range(8)] == [0, 0, 0, 1] * 2


def test_marks_are_read_into_inputs_labels_and_what_counts() -> None:
    ids = torch.tensor([[~2, ~5, ~WITHIN, 6, WITHIN], [2, 7, 8, ~2, ~9]])
    read = Sequences.read(ids, 2, torch.device("cpu"))
    assert read.inputs.tolist() == [[2, 5, 2, 6], [2, 7, 8, 2]]
    assert read.labels.tolist() == [[5, 2, 6, 2], [7, 8, 2, 9]]
    assert read.rows is not None
    assert read.rows.tolist() == [2, 3, 4, 5]
    # Only the end of text that begins a document is one to the positions.
    places = Stream(np.arange(9, dtype=np.int32), 4, end=2).positions(read.bare)
    assert places is not None
    assert places.tolist() == [[0, 1, 2, 3], [0, 1, 2, 0]]
    assert (label_count(ids), loss_share(ids[:1], label_count(ids))) == (4, 0.5)
    plain = Sequences.read(ids[1:, :4].abs(), 2, torch.device("cpu"))
    assert plain.rows is None


def test_a_batch_in_which_nothing_counts_has_whole_shares() -> None:
    nothing = ~torch.ones(2, 5, dtype=torch.int64)
    assert label_count(nothing) == 0
    assert loss_share(nothing[:1], 0) == 1.0


@pytest.fixture
def instructed(tmp_path: Path) -> Path:
    """A folder with a tiny teacher that has a chat template, and data of both kinds."""
    save_teacher(tmp_path / "teacher", "qwen3-tied", template=TEMPLATE)
    save_conversations(save_texts(tmp_path / "texts"))
    return tmp_path


def instruct(steps: int, **more: Any) -> dict[str, Any]:
    recipe = Recipe.load("instruct").model_dump(mode="json")
    wanted = ("phases", "loss_on", "separate_documents", "ce_weight", "kl_weight",
              "cosine_weight", "patch_probability", "patch_fade")  # fmt: skip
    return {**{name: recipe[name] for name in wanted}, "steps": steps, **more}


@pytest.mark.long("two whole trainings, one of them killed")
def test_killed_in_its_second_phase_a_run_is_that_of_an_uninterrupted_one(
    instructed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = instruct(30)
    path = job(instructed, "killed", recipe=recipe, **EACH)
    seen = killed(path, 20)
    status, said = run(path, capsys)
    assert status == 0
    # Told of step 20, it may not yet have written that step's checkpoint.
    assert 19 <= of_kind(said, "start")[0]["step"] < 30
    seen |= curve(said)
    status, said = run(job(instructed, "once", recipe=recipe, **EACH), capsys)
    assert status == 0
    assert seen.keys() == curve(said).keys() == set(range(1, 31))
    assert seen == pytest.approx(curve(said), abs=1e-4)
    once, other = weights(instructed, "once"), weights(instructed, "killed")
    # One was in two processes, whose sums may differ in the last place.
    for name in once:
        torch.testing.assert_close(other[name], once[name])
    assert {p.name for p in (instructed / "once-run").glob("*.tokens")} == {
        "train-text.tokens",
        "train-instructions.tokens",
    }


@pytest.mark.long("trainings whose steps are cut in several ways")
def test_what_counts_weighs_the_same_however_a_step_is_cut(
    instructed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = [{"until": 1.0, "instruction_share": 0.5}]
    for name, micro in (("whole", 4), ("cut", 1)):
        recipe = instruct(3, phases=phases, micro_batch=micro, patch_probability=0)
        assert run(job(instructed, name, recipe=recipe), capsys)[0] == 0
    whole, cut = weights(instructed, "whole"), weights(instructed, "cut")
    for name in whole:
        torch.testing.assert_close(cut[name], whole[name], rtol=1e-3, atol=1e-4)


def test_a_recipe_with_phases_takes_text_from_two_places(
    instructed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (instructed / "talks").mkdir()
    for split in ("train", "calibration", "heldout"):
        talk = instructed / f"texts/{split}/chat.jsonl"
        talk.rename(instructed / f"talks/{split}.jsonl")
    data = text_of([instructed / "texts", instructed / "talks"], [])
    status, _ = run(job(instructed, recipe=instruct(2), data=data), capsys)
    assert status == 0
    record = json.loads((instructed / "a-student/boomerang.json").read_text())
    assert record["data"]["name"] == "texts and talks"
    assert record["recipe"]["phases"][0] == {"until": 0.5, "instruction_share": 0.0}
    assert record["recipe"]["patch_probability"] == Recipe.load("default").patch_probability
    said = error(
        "distill", instructed / "teacher", "--text", instructed / "texts", "--recipe", "instruct",
        "--out", "none",
    )  # fmt: skip
    assert "no instructions to train on" in said


@pytest.mark.parametrize("missing", ["text", "instructions"])
def test_data_without_one_kind_is_refused(
    missing: str, instructed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "calibration", "heldout"):
        text, talk = instructed / f"texts/{split}.jsonl", instructed / f"texts/{split}/chat.jsonl"
        (text if missing == "text" else talk).unlink()
    status, said = run(job(instructed, recipe=instruct(5)), capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-recipe")
    assert f"has no {'plain ' * (missing == 'text')}{missing} to train on" in said[-1]["detail"]


def test_a_recipe_without_phases_takes_the_data_as_it_comes(
    instructed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(job(instructed, recipe={"steps": 2}), capsys)[0] == 0
    tokens = np.fromfile(instructed / "a-run/train.tokens", np.int32)
    assert len(tokens) == 40 * 21 + 40 * (1 + 4 * 6)
    assert tokens.min() >= 0
    assert RECIPE["steps"] != 2
