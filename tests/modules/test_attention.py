"""Attention by blocks against the mask of all pairs of places, as a GPU and a CPU take them."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention
from transformers import AttentionInterface

from boomerang.modules import attention
from boomerang.modules.accelerator import BLOCKS, Accelerator
from boomerang.modules.causal import Causal
from tests.distill.jobs import job, save_teacher, save_texts, told
from tests.distill.test_survival import weights
from tests.support.devices import A100, H100, MIXED, T4, V100, Card, described, pretend
from tests.support.models import KINDS, VOCABULARY, model

BY_BLOCKS = Accelerator("cpu", blocks=True)
LENGTH = 150
"""Two blocks of places, the second of them not full."""
DOCUMENTS = torch.stack([
    torch.cat([torch.arange(first), torch.arange(7), torch.arange(LENGTH - 7 - first)])
    for first in (1, 20, 130)
])  # fmt: skip
SHAPES = {"num_hidden_layers": 3, "max_position_embeddings": LENGTH, "sliding_window": 16}
WINDOWS = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch computes gradients of flex attention on a CPU too, and only refuses to be asked."""
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
        # torch hides this one from whoever does not turn warnings into errors.
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
        attention.works.cache_clear()
        yield
        attention.works.cache_clear()


def passed(causal: Causal, positions: Tensor | None) -> dict[str, Tensor]:
    """What comes out of the layers, and every gradient."""
    draw = torch.Generator().manual_seed(0)
    hidden = causal.embed(torch.randint(VOCABULARY, DOCUMENTS.shape, generator=draw), positions)
    context = causal.context(hidden, positions)
    for index in range(len(causal.layers)):
        hidden = causal.layer(index, hidden, context)
    causal.model.zero_grad()
    hidden.pow(3).mean().backward()
    grads = {name: p.grad for name, p in causal.model.named_parameters() if p.grad is not None}
    return {"out": hidden.detach(), **grads}


@pytest.mark.usefixtures("backwards")
@pytest.mark.parametrize("positions", [None, DOCUMENTS], ids=["one text", "documents"])
@pytest.mark.parametrize(
    ("kind", "changes"),
    [("qwen3-tied", {}), ("mistral", {}), ("gpt2", {"n_layer": 2, "n_positions": LENGTH}),
     ("gemma2", WINDOWS), ("gpt_oss", WINDOWS)],
    ids=["grouped heads", "window", "its own", "soft cap", "sinks"],
)  # fmt: skip
def test_blocks_give_the_values_and_gradients_of_the_mask(
    kind: str, changes: dict[str, object], positions: Tensor | None
) -> None:
    shape = changes if kind == "gpt2" else {**SHAPES, **changes}
    causal = Causal(model(kind, 1, **shape).eval())
    masked = passed(causal, positions)
    causal.attend(BY_BLOCKS, documents=True)
    assert causal.config._attn_implementation == BLOCKS
    found = passed(causal, positions)
    assert found.keys() == masked.keys()
    for name, value in masked.items():
        most = float(value.abs().max())
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-4 * most, msg=name)


def test_a_block_mask_keeps_what_documents_and_windows_hide() -> None:
    mask = attention.block_mask(DOCUMENTS, 16)
    places = torch.arange(LENGTH)
    query, key = places[:, None], places[None]
    for row in range(len(DOCUMENTS)):
        begins = (places - DOCUMENTS[row])[:, None]
        expected = (key <= query) & (key >= begins) & (key > query - 16)
        seen = mask.mask_mod(torch.tensor(row), torch.tensor(0), query, key)
        assert torch.equal(seen, expected)
    # A document that begins with the second block leaves the first alone.
    apart = torch.cat([torch.arange(128), torch.arange(128)])[None]
    assert attention.block_mask(apart).to_dense()[0, 0].tolist() == [[1, 0], [0, 1]]


@pytest.mark.long("torch compiles its kernels")
@pytest.mark.usefixtures("backwards")
def test_a_distillation_by_blocks_is_that_by_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_teacher(tmp_path / "teacher")
    save_texts(tmp_path / "texts")
    recipe = {"separate_documents": True, "steps": 2, "patch_after": 0.6}
    assert told(job(tmp_path, "masks", recipe=recipe), capsys)[0] == 0
    pretend(BY_BLOCKS, monkeypatch)
    made = 0

    def counted(*of: Tensor) -> object:
        nonlocal made
        made += 1
        return block_mask(*of)

    block_mask = attention.block_mask
    monkeypatch.setattr("boomerang.modules.causal.block_mask", counted)
    assert told(job(tmp_path, "blocks", recipe=recipe), capsys)[0] == 0
    assert made > 0
    masked, found = weights(tmp_path, "masks"), weights(tmp_path, "blocks")
    for name, value in masked.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
    assert BLOCKS not in (tmp_path / "blocks-student/config.json").read_text()


@pytest.mark.usefixtures("backwards")
def test_mixed_precision_multiplies_queries_and_values_of_one_dtype() -> None:
    causal = Causal(model("qwen3-tied", 1, **SHAPES).eval())
    causal.attend(BY_BLOCKS, documents=True)
    exact = passed(causal, DOCUMENTS)
    with MIXED.autocast():
        mixed = passed(causal, DOCUMENTS)
    for name, value in exact.items():
        assert mixed[name].dtype is torch.float32
        cosine = torch.cosine_similarity(mixed[name].flatten(), value.flatten(), dim=0)
        assert float(cosine) > 0.99, name


def test_the_mask_stays_where_blocks_turn_out_not_to_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    attention.works.cache_clear()
    causal = Causal(model("qwen3-tied", 1, **SHAPES))
    causal.attend(BY_BLOCKS, documents=True)
    assert causal.config._attn_implementation == "sdpa"
    assert "does not support backward on CPU" in capsys.readouterr().err


SMALL = {"num_hidden_layers": 1}


@pytest.mark.usefixtures("backwards")
@pytest.mark.parametrize(
    ("kind", "changes", "other"),
    [("qwen3-tied", {}, {"num_attention_heads": 2}),
     ("qwen3-tied", {}, {"num_key_value_heads": 4}),
     ("qwen3-tied", {}, {"head_dim": 4}),
     ("gemma2", SMALL, {"attn_logit_softcapping": None}),
     ("gpt_oss", SMALL, None)],
    ids=["heads", "heads of keys", "width", "soft cap", "sinks"],
)  # fmt: skip
def test_the_mask_stays_for_the_model_whose_shape_has_no_kernel(
    kind: str, changes: dict[str, Any], other: dict[str, Any] | None,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whatever else was tried before, and for others there is one."""
    causal = Causal(model(kind, 1, **{**SHAPES, **changes}).eval())
    without = Causal(model("qwen3-tied" if other is None else kind, 1,
                           **{**SHAPES, **changes, **(other or {})}).eval())  # fmt: skip
    shape = attention.Shape.of(causal.model, torch.float32)

    def kernel(query: Tensor, key: Tensor, value: Tensor, **how: Any) -> Any:
        found = (query.shape[1], key.shape[1], query.shape[3], how["score_mod"] is not None)
        if found == (shape.heads, shape.keys, shape.width, shape.cap is not None):
            if not shape.sinks:
                raise RuntimeError("out of resources")
            out, aux = flex_attention.flex_attention(query, key, value, **how)
            aux.lse.register_hook(refuse)
            return out, aux
        return flex_attention.flex_attention(query, key, value, **how)

    def refuse(_: Tensor) -> None:
        raise RuntimeError("out of resources")

    monkeypatch.setattr(attention, "_kernel", lambda _: kernel)
    own = causal.config._attn_implementation
    for each, way in ((without, BLOCKS), (causal, own), (without, BLOCKS)):
        each.attend(BY_BLOCKS, documents=True)
        assert each.config._attn_implementation == way
        passed(each, DOCUMENTS)
    assert capsys.readouterr().err.count("out of resources") == 1


@pytest.mark.usefixtures("backwards")
def test_a_shape_is_tried_in_the_dtype_of_its_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def kernel(query: Tensor, *rest: Tensor, **how: Any) -> Any:
        if query.dtype is torch.bfloat16:
            raise RuntimeError("no bfloat16 here")
        return flex_attention.flex_attention(query, *rest, **how)

    monkeypatch.setattr(attention, "_kernel", lambda _: kernel)
    mixed = replace(MIXED, blocks=True)
    for on, way in ((BY_BLOCKS, BLOCKS), (mixed, "sdpa")):
        causal = Causal(model("qwen3-tied", 1, **SHAPES).eval())
        causal.attend(on, documents=True)
        assert causal.config._attn_implementation == way


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_shape_that_is_tried_is_what_the_layers_ask_for(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set[attention.Shape]()

    def seen(
        module: object, query: Tensor, key: Tensor, value: Tensor, mask: object, *,
        softcap: float | None = None, s_aux: Tensor | None = None, **_: object,
    ) -> tuple[Tensor, None]:  # fmt: skip
        assert key.shape == value.shape
        _, heads, _, width = query.shape
        sinks = s_aux is not None
        asked.add(attention.Shape(heads, key.shape[1], width, softcap, sinks, query.dtype))
        return torch.zeros_like(query).transpose(1, 2).contiguous(), None

    monkeypatch.setitem(AttentionInterface._global_mapping, BLOCKS, seen)
    causal = Causal(model(kind, 1).eval())
    causal.model.set_attn_implementation(BLOCKS)
    hidden = causal.embed(torch.arange(12)[None])
    context = causal.context(hidden)
    with torch.no_grad():
        for index in range(len(causal.layers)):
            hidden = causal.layer(index, hidden, context)
    assert asked == {attention.Shape.of(causal.model, torch.float32)}


@pytest.mark.parametrize(
    ("card", "compiler", "blocks"),
    [(V100, "cc", False), (T4, "cc", False), (A100, "cc", True), (H100, "cc", True),
     (H100, None, False)],
    ids=["V100", "T4", "A100", "H100", "no compiler"],
)  # fmt: skip
def test_a_gpu_attends_by_blocks_where_a_mask_would_be_needed_and_blocks_can_be_compiled(
    card: Card, compiler: str | None, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: compiler)
    on = described(card, monkeypatch)
    masked = BLOCKS if blocks else "sdpa"
    assert on.attention("sdpa", documents=False, windows=False) == "sdpa"
    assert on.attention("sdpa", documents=True, windows=False) == masked
    assert on.attention("sdpa", documents=False, windows=True) == masked
    assert on.attention("eager", documents=False, windows=False) == (BLOCKS if blocks else "eager")


def test_a_cpu_keeps_the_mask() -> None:
    on = Accelerator.of(torch.device("cpu"))
    assert on.attention("sdpa", documents=True, windows=True) == "sdpa"
    assert on.attention("eager", documents=True, windows=True) == "eager"
