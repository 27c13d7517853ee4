"""A fine-tune's student from that of its base: the arithmetic, the figures, what is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from boomerang.checkpoint.folders import content_commit
from boomerang.checkpoint.table import Checkpoint
from boomerang.cli.show import transfer_view
from boomerang.distill.job import DistillJob
from boomerang.distill.students import delta
from boomerang.distill.students import student as students
from boomerang.distill.students import student as students_student
from boomerang.distill.students.delta import Figures, Transfer
from boomerang.errors import StudentMismatch, TrainingFailed
from boomerang.family.pair import Pair
from boomerang.modules.load import load
from boomerang.processes.reporting import Reporter
from boomerang.recipes.recipe import delta_key
from tests.distill.jobs import save_teacher
from tests.distill.students.test_student import MAP
from tests.support.cli_stub import told
from tests.support.models import KEPT, edit_json

pytestmark = pytest.mark.slow("the command line and the trainer, each a process")

EMBEDDINGS = "model.embed_tokens.weight"


def noisy(folder: Path, by: float, seed: int, *, still: tuple[str, ...] = ()) -> None:
    """Add noise to every tensor of a folder, those `still` apart."""
    file, draw = folder / "model.safetensors", torch.Generator().manual_seed(seed)
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if name not in still:
            noise = by * torch.randn(tensor.shape, generator=draw)
            tensors[name] = (tensor.float() + noise).to(tensor.dtype)
    save_file(tensors, file, metadata={"format": "pt"})


def student(folder: Path, of: str, to: str, seed: int, by: float = 0.02) -> Path:
    """A student of `of`, as distillation would leave it."""
    teacher = load(folder / of, dtype=None)
    config = students.student_config(Checkpoint.open(folder / of), MAP)
    made = students.initialise(teacher, config, MAP)
    record = {"frozen_embeddings": True, "key": "b" * 32}
    students_student.write(made, folder / of, folder / to, MAP, record)
    noisy(folder / to, by, seed, still=(EMBEDDINGS,))
    return folder / to


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("base", "tuned"):
        save_teacher(tmp_path / name, "qwen3-tied")
    noisy(tmp_path / "tuned", 0.01, seed=7)
    student(tmp_path, "base", "base-student", seed=8)
    return tmp_path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def of_teacher(name: str) -> str:
    parts = name.split(".")
    if parts[1] == "layers":
        parts[2] = str(KEPT[int(parts[2])])
    return ".".join(parts)


def transfer(folder: Path, *, teacher: str = "tuned", **of: Any) -> dict[str, Any]:
    """As the trainer's process does it; the record that it wrote."""
    described = {
        "teacher": folder / teacher, "teacher_name": teacher, "teacher_commit": "0" * 40,
        "out": folder / "out", "run": folder / "run", "key": "k" * 32,
        "delta": {"base": folder / "base", "base_name": "base", "base_commit": "1" * 40,
                  "student": folder / "base-student", "student_key": "b" * 32, **of},
    }  # fmt: skip
    job = DistillJob.model_validate(described)
    assert job.delta is not None
    delta.transfer(job, job.delta, Reporter())
    record: dict[str, Any] = json.loads((folder / "out/boomerang.json").read_text())
    return record


@pytest.mark.long("the command line and the trainer, each a process")
def test_the_command_line_makes_a_fine_tunes_student_without_training(folder: Path) -> None:
    record = told(
        "distill", folder / "tuned", "--base", folder / "base", "--base-student",
        folder / "base-student", "--out", folder / "out",
    )  # fmt: skip
    base, tuned = weights(folder / "base"), weights(folder / "tuned")
    before, made = weights(folder / "base-student"), weights(folder / "out")
    assert made.keys() == before.keys()
    for name in made:
        at = of_teacher(name)
        torch.testing.assert_close(made[name], tuned[at] + before[name] - base[at])
    # Frozen in the base's student, they are the fine-tune's own, so that members stay tied.
    assert made[EMBEDDINGS].equal(tuned[EMBEDDINGS])
    pair = Pair.of(Checkpoint.open(folder / "tuned"), Checkpoint.open(folder / "out"))
    assert (pair.layermap, pair.shared_embeddings) == (MAP, True)
    assert record["frozen_embeddings"] is True
    assert (record["kept"], record["teacher"], record["delta"]["base"]) == (
        list(KEPT), "tuned", "base",
    )  # fmt: skip
    assert record["delta"]["base_student"] == "b" * 32
    assert (record["delta"]["cosine"], record["delta"]["warning"]) == (None, None)
    moved = math.sqrt(sum(float((tuned[of_teacher(n)] - base[of_teacher(n)]).square().sum())
                          for n in made))  # fmt: skip
    length = math.sqrt(sum(float(base[of_teacher(n)].square().sum()) for n in made))
    assert record["delta"]["drift"] == pytest.approx(moved / length, abs=1e-4)
    loaded = AutoModelForCausalLM.from_pretrained(folder / "out")
    assert loaded.config.num_hidden_layers == len(KEPT)
    assert (folder / "out" / "tokenizer.json").exists()
    assert not (folder / ".out.run").exists()
    commits = [Checkpoint.open(folder / name) for name in ("base", "tuned")]
    keys = [content_commit(checkpoint) for checkpoint in commits]
    assert record["key"] == delta_key("b" * 32, *keys)


def test_the_key_follows_student_base_and_fine_tune() -> None:
    assert len({delta_key(*parts) for parts in ("abc", "xbc", "axc", "abx")}) == 4


def test_the_cosine_is_that_of_the_two_distillation_deltas_and_warns(folder: Path) -> None:
    # The fine-tune's own distillation changed what the base's did, and half as much beside it.
    own = folder / "own"
    student(folder, "tuned", "own", seed=8)
    noisy(own, 0.01, seed=9, still=(EMBEDDINGS,))
    of = Transfer.open(folder / "tuned", folder / "base", folder / "base-student", own)
    figures = Figures(compared=True)
    for role in of.base.student.tensors:
        of.tensor(role, figures)
    assert figures.cosine == pytest.approx(1 / math.sqrt(1.25), abs=0.01)
    assert figures.norm_ratio == pytest.approx(1 / math.sqrt(1.25), abs=0.01)
    assert figures.warning is None
    # Another one went its own way.
    student(folder, "tuned", "elsewhere", seed=10)
    record = transfer(folder, reference=folder / "elsewhere")
    assert abs(record["delta"]["cosine"]) < 0.1
    assert "below 0.5" in record["delta"]["warning"]


def test_a_model_that_is_no_fine_tune_is_warned_of_or_refused(folder: Path) -> None:
    noisy(folder / "tuned", 0.4, seed=11)
    assert "hardly a fine-tune" in transfer_view({"out": "out", **transfer(folder)})
    save_teacher(folder / "larger", "qwen3-tied", vocab_size=64)
    (folder / "out").rename(folder / "first")
    with pytest.raises(StudentMismatch, match="the vocabulary is 64 here and 48 there"):
        transfer(folder, teacher="larger")
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"num_hidden_layers": 6}, "number of layers"),
        ({"tie_word_embeddings": False}, "tied head"),
        ({"intermediate_size": 32}, "mlp"),
    ],
)
def test_another_shape_is_refused(changes: dict[str, Any], what: str, folder: Path) -> None:
    save_teacher(folder / "other", "qwen3-tied", **changes)
    with pytest.raises(StudentMismatch, match=what):
        Transfer.open(folder / "other", folder / "base", folder / "base-student", None)


def test_a_student_of_other_layers_is_no_reference(folder: Path) -> None:
    student(folder, "tuned", "own", seed=8)
    kept = [0, 1, 3, 5, 7]
    edit_json(folder / "own/student_config.json", copied_teacher_layers=kept)
    with pytest.raises(StudentMismatch, match="same layers"):
        Transfer.open(folder / "tuned", folder / "base", folder / "base-student", folder / "own")


def test_it_is_written_in_the_fine_tunes_dtype_and_in_shards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = AutoModelForCausalLM.from_pretrained(folder / "tuned", dtype=torch.bfloat16)
    half.save_pretrained(folder / "tuned")
    monkeypatch.setattr(delta, "SHARD_BYTES", 4000)
    monkeypatch.setattr(delta, "_AT_ONCE", 100)
    transfer(folder)
    files = sorted(p.name for p in (folder / "out").glob("*.safetensors"))
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert len(files) > 2
    made = AutoModelForCausalLM.from_pretrained(folder / "out", dtype="auto").state_dict()
    base, tuned = weights(folder / "base"), weights(folder / "tuned")
    before = weights(folder / "base-student")
    for name, changed in before.items():
        at = of_teacher(name)
        expected = (tuned[at].float() + (changed - base[at])).bfloat16()
        assert made[name].equal(expected), name


def test_what_is_not_finite_never_becomes_a_student(folder: Path) -> None:
    file = folder / "base-student/model.safetensors"
    tensors = load_file(file)
    tensors["model.norm.weight"][3] = torch.inf
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(TrainingFailed, match=r"model\.norm\.weight"):
        transfer(folder)
    assert not (folder / "out").exists()
