"""Rotary settings that a config leaves to its class, and pairs whose layers rotate differently."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from boomerang.architecture.kinds import first_difference, rope
from boomerang.architecture.supported import ARCHITECTURES
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import StudentMismatch
from boomerang.family.pair import Pair
from tests.support.models import model

ROTARY_KEYS = ("rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor")


def parameters(model_type: str, **said: Any) -> dict[str, Any]:
    """What the class of transformers makes of a config that says only this."""
    found = getattr(AutoConfig.for_model(model_type, **said), "rope_parameters", None)
    return dict(found or {})


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES.keys() - {"gpt2"}))
def test_defaults_are_those_of_transformers(model_type: str) -> None:
    filled = rope({"model_type": model_type})
    theirs = rope({"model_type": model_type, "rope_parameters": parameters(model_type)})
    if model_type in ("gpt_oss", "ministral3"):
        assert filled == {}
        return
    assert {key: theirs[key] for key in filled if key in theirs} == {
        key: value for key, value in filled.items() if key in theirs
    }
    assert {key.split(".")[-1] for key in theirs} <= {key.split(".")[-1] for key in filled}
    assert (
        first_difference({"model_type": model_type}, {"model_type": model_type, **theirs}) is None
    )


OLD_SPELLINGS: list[tuple[str, dict[str, Any]]] = [
    ("gpt_neox", {"rotary_emb_base": 25000, "rotary_pct": 0.5}),
    ("olmo3", {"rope_theta": 2e5, "rope_scaling": {
        "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192}}),
    ("gemma3_text", {"rope_theta": 2e6, "rope_local_base_freq": 2e4,
                     "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
    ("gpt_oss", {"rope_theta": 1e5, "rope_scaling": {
        "rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096}}),
    ("phi", {"partial_rotary_factor": 0.25}),
    ("llama", {"rope_theta": 5e5, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}}),
]  # fmt: skip


@pytest.mark.parametrize(("model_type", "said"), OLD_SPELLINGS, ids=lambda v: str(v)[:12])
def test_old_configs_mean_what_transformers_makes_of_them(
    model_type: str, said: dict[str, Any]
) -> None:
    old = {"model_type": model_type, **said}
    new = {"model_type": model_type, "rope_parameters": parameters(model_type, **said)}
    assert first_difference(old, new) is None
    assert rope(old).keys() & rope(new).keys() >= {
        key for key in rope(new) if key.endswith(("rope_theta", "rope_type", "factor"))
    }
    plain = {"model_type": model_type, "rope_parameters": parameters(model_type)}
    assert first_difference(old, plain) is not None


ROPES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "old and new name of one setting": (
        {"rope_theta": 5e5}, {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, True,
    ),
    "another base": (
        {"rope_theta": 5e5}, {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}},
        False,
    ),
    "another base, both old": ({"rope_theta": 5e5}, {"rope_theta": 1e6}, False),
    "one leaves the default, which is the same": ({}, {"rope_theta": 10000.0}, True),
    "one leaves the default, which is another": ({}, {"rope_theta": 5e5}, False),
    "scaled by one": (
        {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}, False,
    ),
    "scaled by another factor": (
        {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 4.0}}, False,
    ),
    "scaled alike": (
        {"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0}}, True,
    ),
    "scaled, beside nothing said": (
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, {}, False,
    ),
    "partly rotated": (
        {"rope_theta": 1e4, "partial_rotary_factor": 0.5},
        {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default",
                             "partial_rotary_factor": 0.25}}, False,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def llamas(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("llamas")
    for name, layers in (("teacher", 4), ("student", 2)):
        model("llama", 1, num_hidden_layers=layers).save_pretrained(folder / name)
    return folder / "teacher", folder / "student"


@pytest.mark.parametrize("case", list(ROPES))
@pytest.mark.parametrize("turned", [False, True])
def test_rotary_settings(llamas: tuple[Path, Path], case: str, turned: bool) -> None:
    one, other, same = ROPES[case]
    for folder, said in zip(llamas, (other, one) if turned else (one, other), strict=True):
        config = json.loads((folder / "config.json").read_text())
        for key in ROTARY_KEYS:
            config.pop(key, None)
        (folder / "config.json").write_text(json.dumps(config | said))
    checkpoints = [Checkpoint.open(folder) for folder in llamas]
    if same:
        assert Pair.of(*checkpoints, kept=(0, 2)).layermap.kept == (0, 2)
        return
    with pytest.raises(StudentMismatch) as caught:
        Pair.of(*checkpoints, kept=(0, 2))
    assert caught.value.fix


def test_layers_of_another_kind_than_those_they_are_kept_from(tmp_path: Path) -> None:
    """A student whose second layer rotates positions, kept from a layer that does not."""
    for name, rotated in (("teacher", [1, 1, 0, 1]), ("student", [1, 1])):
        said = {"num_hidden_layers": len(rotated), "no_rope_layers": rotated}
        model("smollm3", 1, **said).save_pretrained(tmp_path / name)
    checkpoints = [Checkpoint.open(tmp_path / name) for name in ("teacher", "student")]
    assert Pair.of(*checkpoints, kept=(0, 3)).layermap.kept == (0, 3)
    with pytest.raises(StudentMismatch, match="kind of layer 1") as caught:
        Pair.of(*checkpoints, kept=(0, 2))
    assert caught.value.fix
