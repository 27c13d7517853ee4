"""A language model inside a model of text and images: taken out whole, and alone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.wrappers import WHOLES
from boomerang.assembly.stitch import member_files, place
from boomerang.checkpoint.files import SINGLE
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.modules.load import load
from tests.assembly.test_stitch import Duo, loaded, prove, told
from tests.support.models import KEPT, KINDS, LAYERS, edit_json, following, model, save_student

_EYES: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 16, "patch_size": 8,
}  # fmt: skip
VISION: dict[str, dict[str, Any]] = {
    "gemma3": {"model_type": "siglip_vision_model", **_EYES},
    "mistral3": {"model_type": "pixtral", **_EYES, "head_dim": 8},
    "llava": {"model_type": "clip_vision_model", **_EYES, "projection_dim": 16},
}
INSIDE = [("gemma3", "gemma3_text"), ("mistral3", "mistral"), ("mistral3", "ministral3"),
          ("llava", "llama"), ("llava", "llama-tied")]  # fmt: skip


def whole(folder: Path, around: str, kind: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    """A model of text and images, saved; and its language model as it is alone."""
    alone = model(kind, 1)
    settings = AutoConfig.for_model(
        around, text_config=dict(KINDS[kind]), vision_config=VISION[around],
        mm_tokens_per_image=4, image_token_index=40,
        tie_word_embeddings=KINDS[kind]["tie_word_embeddings"],
    )  # fmt: skip
    made = AutoModelForImageTextToText.from_config(settings).eval()
    made.model.language_model.load_state_dict(alone.base_model.state_dict())
    made.lm_head.load_state_dict(alone.lm_head.state_dict())
    made.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    return made, alone


def family(tmp_path: Path, around: str, kind: str) -> Duo:
    _, alone = whole(tmp_path / "teacher", around, kind)
    student = model(kind, 2, **following(alone, KEPT), num_hidden_layers=len(KEPT))
    save_student(student, tmp_path / "student", KEPT, LAYERS)
    return Duo(alone, student, tmp_path / "teacher", tmp_path / "student", KEPT)


def renamed(folder: Path, pattern: str, new: str) -> None:
    tensors = load_file(folder / SINGLE)
    save_file({re.sub(pattern, new, n): t for n, t in tensors.items()}, folder / SINGLE)


def test_every_whole_is_tested() -> None:
    assert {around for around, _ in INSIDE} == set(WHOLES)


@pytest.mark.parametrize(("around", "kind"), INSIDE)
def test_members_are_text_models_of_their_own(around: str, kind: str, tmp_path: Path) -> None:
    made = family(tmp_path, around, kind)
    assert any("vision_tower" in name for name in load_file(made.teacher_folder / SINGLE))
    for k, patched in enumerate(((), {3}, {2, 3}, {0, 2, 3})):
        composition = Composition.patched(made.pair.layermap, patched)
        member = prove(made, composition, told(KEPT, "last", k), tmp_path / f"member{k}")
        assert type(member) is type(made.teacher)
    files = member_files(made.pair, composition)
    assert "preprocessor_config.json" not in files


@pytest.mark.parametrize(("around", "kind"), INSIDE)
def test_names_of_the_newer_files(around: str, kind: str, tmp_path: Path) -> None:
    """As the module itself names them, and as a text-only save of the whole does."""
    made = family(tmp_path, around, kind)
    before = place(
        made.pair, Composition.of(made.pair.layermap, "f" * len(made.pair.layermap.kept))
    )
    renamed(made.teacher_folder, r"^language_model\.lm_head", "lm_head")
    renamed(made.teacher_folder, r"^language_model\.model\.", "model.language_model.")
    renamed(made.teacher_folder, r"^(vision_tower|multi_modal_projector)", r"model.\1")
    after = place(made.pair, Composition.of(made.pair.layermap, "f" * len(made.pair.layermap.kept)))
    assert [item.name for item in before] == [item.name for item in after]


@torch.no_grad()
@pytest.mark.parametrize(("around", "kind"), INSIDE)
@pytest.mark.parametrize("newer", [False, True])
def test_the_language_model_is_loaded_alone(
    around: str, kind: str, newer: bool, tmp_path: Path
) -> None:
    both, alone = whole(tmp_path, around, kind)
    if newer:
        renamed(tmp_path, r"^language_model\.lm_head", "lm_head")
        renamed(tmp_path, r"^language_model\.model\.", "model.language_model.")
    ids = torch.arange(24).reshape(2, 12)
    found = load(tmp_path, dtype=None).model
    assert type(found) is type(alone)
    torch.testing.assert_close(found(ids).logits, alone(ids).logits)
    torch.testing.assert_close(found(ids).logits, both(input_ids=ids).logits)


def test_what_the_text_leaves_to_the_whole(tmp_path: Path) -> None:
    """Vocabulary, depth, head and end of text may be left to the class or to the whole."""
    whole(tmp_path, "gemma3", "gemma3_text")
    config = json.loads((tmp_path / "config.json").read_text())
    for key in ("vocab_size", "num_hidden_layers", "tie_word_embeddings", "eos_token_id",
                "model_type"):  # fmt: skip
        del config["text_config"][key]
    config |= {"eos_token_id": [1, 46], "torch_dtype": "bfloat16"}
    del config["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    anatomy = dissect(Checkpoint.open(tmp_path))
    assert (anatomy.tied, anatomy.depth) == (True, LAYERS)
    layermap = LayerMap.keeping_kinds(anatomy.kinds)
    pair = Pair.planned(Checkpoint.open(tmp_path), layermap, frozen=True)
    composition = Composition.of(layermap, "f" * len(layermap.kept))
    target = member_config(pair, composition)
    assert {key: target[key] for key in ("model_type", "vocab_size", "eos_token_id")} == {
        "model_type": "gemma3_text", "vocab_size": 48, "eos_token_id": [1, 46],
    }  # fmt: skip
    assert "text_config" not in target
    files = member_files(pair, composition)
    (tmp_path / "member").mkdir()
    for name, file in files.items():
        file.write(tmp_path / "member" / name)
    assert loaded(tmp_path / "member").config.vocab_size == 48


@torch.no_grad()
def test_the_whole_says_whether_the_head_is_tied(tmp_path: Path) -> None:
    """Mistral3Config ties by default, MistralConfig and LlamaConfig do not."""
    _, alone = whole(tmp_path, "mistral3", "llama-tied")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["text_config"]["tie_word_embeddings"], config["tie_word_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert dissect(Checkpoint.open(tmp_path)).tied
    ids = torch.arange(24).reshape(2, 12)
    torch.testing.assert_close(load(tmp_path, dtype=None).model(ids).logits, alone(ids).logits)
    edit_json(tmp_path / "config.json", tie_word_embeddings=False)
    with pytest.raises(CorruptCheckpoint, match="lm_head"):
        dissect(Checkpoint.open(tmp_path))


def test_wholes_that_are_refused(tmp_path: Path) -> None:
    whole(tmp_path, "gemma3", "gemma3_text")
    for model_type, why in (("gemma3n", "keys and values"), ("qwen2_5_vl", "three dimensions"),
                            ("paligemma", "no place of its own")):  # fmt: skip
        edit_json(tmp_path / "config.json", model_type=model_type)
        with pytest.raises(UnsupportedArchitecture, match=why) as caught:
            dissect(Checkpoint.open(tmp_path))
        assert caught.value.value == model_type
        assert "gemma3" in str(caught.value.fix)


def test_a_text_model_that_is_not_supported_inside(tmp_path: Path) -> None:
    whole(tmp_path, "llava", "llama")
    config = json.loads((tmp_path / "config.json").read_text())
    edit_json(tmp_path / "config.json", text_config={**config["text_config"], "model_type": "mpt"})
    with pytest.raises(UnsupportedArchitecture, match="mpt"):
        dissect(Checkpoint.open(tmp_path))


def test_a_quantised_whole_is_refused(tmp_path: Path) -> None:
    whole(tmp_path, "mistral3", "mistral")
    edit_json(tmp_path / "config.json", quantization_config={"quant_method": "fp8"})
    with pytest.raises(UnsupportedArchitecture, match="fp8"):
        dissect(Checkpoint.open(tmp_path))


def test_damaged_wholes(tmp_path: Path) -> None:
    whole(tmp_path, "llava", "llama")
    tensors = load_file(tmp_path / SINGLE)
    for harm in ({"audio_tower.weight": torch.ones(2)},
                 {"model.language_model.norm.weight": torch.ones(16)}):  # fmt: skip
        save_file({**tensors, **harm}, tmp_path / SINGLE)
        with pytest.raises(CorruptCheckpoint) as caught:
            dissect(Checkpoint.open(tmp_path))
        assert caught.value.fix
    save_file(tensors, tmp_path / SINGLE)
    edit_json(tmp_path / "config.json", text_config=None)
    with pytest.raises(CorruptCheckpoint, match="text_config"):
        dissect(Checkpoint.open(tmp_path))
