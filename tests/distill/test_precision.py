"""Dtypes where products are in bfloat16, as on a GPU: of parameters, buffers and products."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.students import student as students
from boomerang.family.layer_map import LayerMap
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import cast, load
from boomerang.quality import __main__ as measurer
from tests.distill.jobs import events, job, save_teacher, save_texts, told
from tests.support.devices import MIXED, PRECISE, pretend
from tests.support.models import KEPT, LAYERS, each, model

pytestmark = pytest.mark.slow("distils and measures once more, in mixed precision")

ONE_OF_EACH: dict[str, dict[str, Any]] = {"qwen3_moe": {"mlp_only_layers": [0]}}
"""A layer of experts among few layers."""


def buffers(model: Any) -> dict[str, Tensor]:
    return dict(model.named_buffers())


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, buffer in found.items():
        torch.testing.assert_close(buffer, expected[name], rtol=0, atol=0, msg=name)


def dtypes(causal: Causal) -> set[torch.dtype]:
    return {p.dtype for p in causal.model.parameters()}


@pytest.mark.parametrize("kind", each())
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


def test_the_trainers_teacher_has_weights_in_bfloat16_and_buffers_in_float32(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = save_teacher(tmp_path / "teacher", "gemma", hidden_size=24, head_dim=8)
    save_texts(tmp_path / "texts")
    exact = buffers(AutoModelForCausalLM.from_pretrained(stored, dtype=torch.float32))
    trained: list[Couple] = []

    def coupled(teacher: Causal, student: Causal, layermap: LayerMap) -> Couple:
        trained.append(couple(teacher, student, layermap))
        return trained[-1]

    pretend(MIXED, monkeypatch)
    monkeypatch.setattr("boomerang.distill.distillation.couple", coupled)
    assert told(job(tmp_path, recipe={"steps": 1}), capsys)[0] == 0
    (found,) = trained
    assert (dtypes(found.teacher), dtypes(found.student)) == ({torch.bfloat16}, {torch.float32})
    for causal in (found.teacher, found.student):
        assert_same(buffers(causal.model), exact)


class Products(TorchDispatchMode):
    """The dtypes of all products of two matrices, by the name of the operation."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "_grouped_mm"):
            self.dtypes.setdefault(name, set()).update(a.dtype for a in args[:3] if _matrix(a))
        return func(*args, **(kwargs or {}))


def _matrix(argument: Any) -> bool:
    # Tensors without memory are what a layer keeps, not what is multiplied.
    real = isinstance(argument, Tensor) and not isinstance(argument, FakeTensor)
    return real and argument.is_floating_point()


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss"])
def test_experts_multiply_in_bfloat16_and_learn_in_float32(kind: str) -> None:
    """Forwards and backwards, with weights in float32, as those of a student are."""
    made = model(kind, 1, num_hidden_layers=3, **ONE_OF_EACH.get(kind, {}))
    with Products() as products, MIXED.autocast():
        made(torch.arange(12)[None]).logits.float().logsumexp(-1).sum().backward()
    assert products.dtypes["_grouped_mm"] == {torch.bfloat16}
    assert products.dtypes["mm"] == {torch.bfloat16}
    experts = {name: p for name, p in made.named_parameters() if ".experts." in name}
    assert experts
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in experts.values())


def test_experts_outside_of_a_mixed_pass_are_as_exact_as_ever() -> None:
    made = model("mixtral", 1, num_hidden_layers=1)
    with Products() as products, PRECISE.autocast(), torch.no_grad():
        made(torch.arange(12)[None])
    assert products.dtypes["_grouped_mm"] == {torch.float32}


@pytest.mark.long("distils and measures once more, in mixed precision")
def test_a_student_is_distilled_and_measured_in_mixed_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All on the way that a GPU goes; the figures are those of float32, but for rounding."""
    save_teacher(tmp_path / "teacher", "mixtral", num_hidden_layers=4)
    data = save_texts(tmp_path / "texts")
    finals, kls = {}, {}
    for name, accelerator in (("mixed", MIXED), ("precise", PRECISE)):
        pretend(accelerator, monkeypatch)
        with Products() as products:
            status, _ = told(job(tmp_path, name, recipe={"steps": 3}), capsys)
        assert (status, products.dtypes["mm"]) == (0, {accelerator.compute})
        student = tmp_path / f"{name}-student"
        finals[name] = json.loads((student / "boomerang.json").read_text())["final"]
        asked = {
            "teacher": str(tmp_path / "teacher"), "student": str(student), "data": str(data),
            "order": "last", "sequence_length": 16, "heldout_tokens": 64, "naive": False,
            "calibration_tokens": 64,
        }  # fmt: skip
        (tmp_path / "measure.json").write_text(json.dumps(asked))
        with Products() as products:
            assert measurer.main([str(tmp_path / "measure.json")]) == 0
        assert products.dtypes["mm"] == {accelerator.compute}
        said = [e for e in events(capsys.readouterr().out) if e["event"] == "member"]
        kls[name] = {e["k"]: e["kl"] for e in said}
    assert finals["mixed"] == pytest.approx(finals["precise"], rel=0.05, abs=0.02)
    assert kls["mixed"] == pytest.approx(kls["precise"], rel=0.1, abs=0.02)
