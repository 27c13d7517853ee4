"""Our own forward pass is the architecture's: for one model, and for members put together."""

import copy
from pathlib import Path

import pytest
import torch

from boomerang.architecture.supported import ARCHITECTURES, Attention
from boomerang.errors import StudentMismatch, UnsupportedArchitecture
from boomerang.family.composition import Composition, Side, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from tests.support.models import KEPT, KINDS, LAYERS, VOCABULARY, duo, model

IDS = torch.randint(VOCABULARY, (3, 12), generator=torch.Generator().manual_seed(3))
SLIDING = ["sliding_attention", "full_attention"] * (LAYERS // 2)
MIXED = {"layer_types": SLIDING, "sliding_window": 4, "use_sliding_window": True}

MIXED_KINDS = ["gemma2", "gemma3_text", "smollm3", "qwen2_moe", "qwen3_moe", "gpt_oss"]
"""Layers of several kinds, with rotary positions, masks or experts that differ by kind."""
ARCHITECTURES_LISTED = [n for n, a in ARCHITECTURES.items() if a.attention is Attention.LISTED]


def itself(causal: Causal) -> tuple[Couple, Composition]:
    everything = LayerMap(tuple(range(len(causal.layers))), len(causal.layers))
    choices = "s" * len(causal.layers)
    return Couple(causal, causal, everything), Composition.of(everything, choices)


@torch.no_grad()
@pytest.mark.parametrize("kind", [*KINDS, "qwen3-mixed"])
def test_logits_are_those_of_the_architectures_own_forward(kind: str) -> None:
    hf = model("qwen3-tied", 1, **MIXED) if kind == "qwen3-mixed" else model(kind, 1)
    both, whole = itself(Causal(hf))
    torch.testing.assert_close(both.logits(whole, IDS), hf(IDS).logits)


@torch.no_grad()
def test_a_token_sees_only_what_is_before_it_and_in_its_window() -> None:
    both, whole = itself(Causal(model("mistral", 1, num_hidden_layers=1)))
    before, changed = IDS[:1], IDS[:1].clone()
    changed[0, 5] = (changed[0, 5] + 1) % VOCABULARY
    moved = (both.logits(whole, before) - both.logits(whole, changed)).abs().amax(-1)[0] > 1e-6
    # One layer with a window of four: token 5 is seen by tokens 5 to 8.
    assert moved.tolist() == [5 <= at <= 8 for at in range(12)]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["llama", "qwen3-tied", "gpt_neox", "gpt2", *MIXED_KINDS])
@pytest.mark.parametrize("order", [first_to_last, last_to_first])
def test_members_are_the_layers_put_together_as_modules(kind: str, order, tmp_path: Path) -> None:
    made = duo(tmp_path, kind)
    layermap = LayerMap(KEPT, LAYERS)
    both = couple(Causal(made.teacher), Causal(made.student), layermap)
    whole = both.trace(Composition.of(layermap, "b" * len(KEPT)), IDS)
    for k in range(len(layermap.long) + 1):
        member = Composition.patched(layermap, order(layermap)[:k])
        expected = together(made.teacher, made.student, member)(IDS, use_cache=False).logits
        torch.testing.assert_close(both.logits(member, IDS), expected)
        head = both.side(member.head).head
        reusing = head(both.trace(member, IDS, whole).final)
        torch.testing.assert_close(reusing, expected)


def together(teacher, student, member: Composition):
    """A member as one model of transformers, made by moving modules."""
    sides = {Side.TEACHER: Causal(teacher), Side.STUDENT: Causal(student)}
    made = copy.deepcopy(teacher)
    made.config.tie_word_embeddings = False
    parts = Causal(made)
    layers = [copy.deepcopy(sides[at.side].layers[at.index]) for at in member.layers]
    del parts.layers[:]
    parts.layers.extend(layers)
    made.config.num_hidden_layers = len(layers)
    if made.config.model_type in ARCHITECTURES_LISTED:
        made.config.layer_types = [sides[at.side].kinds[at.index] for at in member.layers]
    for to, of in zip(parts.embeddings, sides[member.embeddings].embeddings, strict=True):
        to.weight = copy.deepcopy(of.weight)
    parts.last_norm.load_state_dict(sides[member.norm].last_norm.state_dict())
    made.lm_head.weight = copy.deepcopy(sides[member.head].model.lm_head.weight)
    return made


def test_a_kind_of_layer_that_is_not_known_is_refused() -> None:
    hf = model("qwen3-tied", 1)
    hf.config.layer_types[3] = "linear_attention"
    with pytest.raises(UnsupportedArchitecture, match="linear_attention"):
        Causal(hf)


def test_a_student_with_other_kinds_of_layers_is_refused(tmp_path: Path) -> None:
    teacher = Causal(model("qwen3-tied", 1, **MIXED))
    student = Causal(model("qwen3-tied", 2, num_hidden_layers=len(KEPT)))
    with pytest.raises(StudentMismatch, match="kinds"):
        couple(teacher, student, LayerMap(KEPT, LAYERS))


def test_a_folder_is_loaded_without_gradients_in_the_dtype_of_the_device(tmp_path: Path) -> None:
    hf = model("llama", 1, num_hidden_layers=2).to(torch.bfloat16)
    hf.save_pretrained(tmp_path)
    dtype = Accelerator.of(torch.device("cpu")).compute
    assert dtype is torch.float32
    assert load(tmp_path, dtype=None).tokens.weight.dtype is torch.bfloat16
    loaded = load(tmp_path, dtype=dtype)
    assert not any(p.requires_grad or p.dtype is not dtype for p in loaded.model.parameters())
    torch.testing.assert_close(loaded.tokens.weight, hf.model.embed_tokens.weight.float())


def test_another_architecture_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    model("llama", 1, num_hidden_layers=2).save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"mpt"'))
    with pytest.raises(UnsupportedArchitecture, match="mpt"):
        load(tmp_path, dtype=None)
