"""Dtypes where products are in bfloat16, as on a GPU: of parameters, buffers and products."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from boomerang.checkpoint import Checkpoint
from boomerang.distill import student as students
from boomerang.layermap import LayerMap
from boomerang.quality.models import Causal, cast, load
from tests.models import KEPT, KINDS, LAYERS, model


def buffers(model: Any) -> dict[str, Tensor]:
    return dict(model.named_buffers())


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, buffer in found.items():
        torch.testing.assert_close(buffer, expected[name], rtol=0, atol=0, msg=name)


def dtypes(causal: Causal) -> set[torch.dtype]:
    return {p.dtype for p in causal.model.parameters()}


@pytest.mark.parametrize("kind", list(KINDS))
def test_buffers_are_those_of_float32_whatever_the_weights_are_in(
    kind: str, tmp_path: Path
) -> None:
    """Of the teacher as it is trained on and measured, and of the student."""
    stored = model(kind, 1).to(torch.bfloat16)
    stored.save_pretrained(tmp_path)
    exact = buffers(AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32))
    teacher = load(tmp_path, dtype=None)
    layermap = LayerMap(KEPT, LAYERS)
    config = students.student_config(Checkpoint.open(tmp_path), layermap)
    student = students.initialise(teacher, config, layermap)
    cast(teacher, torch.bfloat16)
    measured = load(tmp_path, dtype=torch.bfloat16)
    assert dtypes(teacher) == dtypes(measured) == {torch.bfloat16}
    assert dtypes(student) == {torch.float32}
    for causal in (teacher, measured, student):
        assert_same(buffers(causal.model), exact)
    assert teacher.tied is measured.tied is (stored.config.tie_word_embeddings is True)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(teacher.model(ids).logits, measured.model(ids).logits)


@pytest.mark.parametrize("kind", ["gemma", "llama"])
def test_a_teacher_stored_in_bfloat16_is_the_same_trained_on_and_measured_on_a_cpu(
    kind: str, tmp_path: Path
) -> None:
    model(kind, 1, hidden_size=24).to(torch.bfloat16).save_pretrained(tmp_path)
    trained_on, measured = load(tmp_path, dtype=None), load(tmp_path, dtype=torch.float32)
    cast(trained_on, torch.float32)
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.equal(trained_on.model(ids).logits, measured.model(ids).logits)
