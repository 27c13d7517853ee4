"""What a distillation is taken to need, from shapes and recipe alone."""

from pathlib import Path

import pytest
import torch

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.memory.activations import LayerActivations, layer_activations
from boomerang.distill.memory.estimate import MemoryEstimate, estimate_memory
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.recipes.recipe import Recipe
from tests.distill.jobs import RECIPE, save_teacher
from tests.support.devices import MIXED, PRECISE, pretend
from tests.support.models import KEPT, LAYERS

LENGTH, WIDTH = 16, 16


def of(folder: Path, kind: str = "qwen3-tied", dtype: torch.dtype = torch.float32,
       kept: tuple[int, ...] = KEPT, **fields: object) -> MemoryEstimate:  # fmt: skip
    teacher = folder / kind
    if not teacher.exists():
        save_teacher(teacher, kind)
    pair = Pair.planned(Checkpoint.open(teacher), LayerMap(kept, LAYERS), frozen=True)
    recipe = Recipe.parse({**RECIPE, "patch_probability": 0.0, **fields})
    return estimate_memory(pair, recipe, LENGTH, True, dtype)


def trained(folder: Path) -> int:
    pair = Pair.planned(Checkpoint.open(folder / "qwen3-tied"), LayerMap(KEPT, LAYERS), frozen=True)
    sizes = {role: tensor.parameters for role, tensor in pair.student.tensors.items()}
    return sum(size for role, size in sizes.items() if role.part.name != "EMBEDDINGS")


def test_moments_of_8_bits_take_a_quarter(tmp_path: Path) -> None:
    saved = of(tmp_path).state - of(tmp_path, optimiser="adamw8bit").state
    assert saved == pytest.approx(6 * trained(tmp_path), rel=0.01)


STATES = 4 * LENGTH * WIDTH


def layer(folder: Path) -> LayerActivations:
    anatomy = dissect(Checkpoint.open(folder / "qwen3-tied"))
    return layer_activations(anatomy, LENGTH, PRECISE, torch.float32, documents=False)[0]


def test_activations_made_again_are_those_of_one_block(tmp_path: Path) -> None:
    plain, again = of(tmp_path), of(tmp_path, activation_checkpointing=True)
    each = layer(tmp_path).trained
    # Beside the layers the teacher's states after each, and the last ones of both.
    assert (plain.sequence, plain.working) == (5 * each + 7 * STATES, each)
    assert (again.sequence, again.working) == (5 * STATES + 7 * STATES, 2 * each)


def test_patched_passes_keep_the_teachers_layers_too(tmp_path: Path) -> None:
    kept = (0, 4, 7)
    plain = of(tmp_path, kept=kept).sequence
    each = layer(tmp_path)
    assert plain == 3 * each.trained + 5 * STATES
    # The first block is the student's, all after it the teacher's.
    patched = of(tmp_path, kept=kept, patch_probability=0.5).sequence
    assert patched - plain == 4 * each.frozen - 2 * each.trained


def test_what_comes_before_the_first_trained_layer_keeps_nothing(tmp_path: Path) -> None:
    kept = (0, 1, 2, 3, 4, 7)
    plain = of(tmp_path, kept=kept).sequence
    # One block alone is long: no pass is patched.
    assert of(tmp_path, kept=kept, patch_probability=0.5).sequence == plain


def test_autocast_copies_what_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = of(tmp_path)
    pretend(MIXED, monkeypatch)
    mixed = of(tmp_path, dtype=torch.bfloat16)
    pair = Pair.planned(
        Checkpoint.open(tmp_path / "qwen3-tied"), LayerMap(KEPT, LAYERS), frozen=True
    )
    teacher = sum(t.parameters for t in pair.teacher.tensors.values())
    frozen = 48 * WIDTH
    assert mixed.state - exact.state == 2 * trained(tmp_path) - 2 * teacher + 4 * frozen


def test_logits_are_counted_up_to_one_chunk() -> None:
    wanted = MemoryEstimate(1000, 10, logits=100, buffers=250)
    assert [wanted.bytes(n) for n in (1, 2, 3, 4)] == [1110, 1220, 1280, 1290]
    # They are gone when gradients go through the layers.
    wanted = MemoryEstimate(1000, 10, logits=100, buffers=250, working=70)
    assert [wanted.bytes(n) for n in (1, 2, 3, 4)] == [1110, 1220, 1280, 1320]
