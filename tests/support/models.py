"""Tiny teachers and students of every supported architecture, with all weights at random.

A student here is no copy of its teacher's layers: every tensor differs, so that a tensor taken
from the wrong side or the wrong layer changes the logits.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark.structures import ParameterSet
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair

VOCABULARY = 48
LAYERS = 8
KEPT = (0, 2, 3, 5, 7)
"""Blocks 0-1, 2, 3-4, 5-6, 7: long ones and one-layer ones, one of them at the end."""

_LLAMA_SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": LAYERS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_NEOX_SHAPE = {key: value for key, value in _LLAMA_SHAPE.items() if key != "num_key_value_heads"}
_TIED = {"tie_word_embeddings": True}
_EXPERTS = {
    "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
}  # fmt: skip
_YARN = {
    "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
    "beta_fast": 32.0, "beta_slow": 1.0,
}  # fmt: skip
_EVERY_THIRD = ["full_attention" if i % 3 == 2 else "sliding_attention" for i in range(LAYERS)]

KINDS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **_LLAMA_SHAPE},
    "llama-tied": {"model_type": "llama", **_LLAMA_SHAPE, "tie_word_embeddings": True},
    "qwen3-tied": {
        "model_type": "qwen3", **_LLAMA_SHAPE, "tie_word_embeddings": True, "head_dim": 8,
    },
    "gpt_neox": {"model_type": "gpt_neox", **_NEOX_SHAPE},
    "gpt2": {
        "model_type": "gpt2", "n_embd": 16, "n_head": 4, "n_layer": LAYERS,
        "vocab_size": VOCABULARY, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2,
    },
    "mistral": {"model_type": "mistral", **_LLAMA_SHAPE, "sliding_window": 4},
    "qwen2": {"model_type": "qwen2", **_LLAMA_SHAPE},
    "olmo2": {"model_type": "olmo2", **_LLAMA_SHAPE},
    "phi3": {"model_type": "phi3", **_LLAMA_SHAPE},
    "granite": {
        "model_type": "granite", **_LLAMA_SHAPE, "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5, "logits_scaling": 3.0, "attention_multiplier": 0.3,
    },
    "gemma": {"model_type": "gemma", **_LLAMA_SHAPE, **_TIED, "head_dim": 8},
    "gemma2": {
        "model_type": "gemma2", **_LLAMA_SHAPE, **_TIED, "head_dim": 8, "sliding_window": 4,
        "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0,
    },
    "gemma3_text": {
        "model_type": "gemma3_text", **_LLAMA_SHAPE, **_TIED, "head_dim": 8, "sliding_window": 4,
        "query_pre_attn_scalar": 8, "sliding_window_pattern": 3,
    },
    "olmo": {"model_type": "olmo", **_LLAMA_SHAPE, "clip_qkv": 0.5},
    "olmo3": {
        "model_type": "olmo3", **_LLAMA_SHAPE, "sliding_window": 4,
        "rope_scaling": {**_YARN, "attention_factor": 1.2},
    },
    "smollm3": {"model_type": "smollm3", **_LLAMA_SHAPE, **_TIED, "no_rope_layer_interval": 3},
    "starcoder2": {"model_type": "starcoder2", **_LLAMA_SHAPE, **_TIED, "sliding_window": 4},
    "stablelm": {
        "model_type": "stablelm", **_LLAMA_SHAPE, "use_qkv_bias": True, "qk_layernorm": True,
        "use_parallel_residual": True, "partial_rotary_factor": 0.5,
    },
    "cohere": {
        "model_type": "cohere", **_LLAMA_SHAPE, **_TIED, "use_qk_norm": True, "logit_scale": 0.5,
    },
    "cohere2": {
        "model_type": "cohere2", **_LLAMA_SHAPE, **_TIED, "sliding_window": 4, "logit_scale": 0.5,
    },
    "glm": {"model_type": "glm", **_LLAMA_SHAPE, "head_dim": 8},
    "glm4": {"model_type": "glm4", **_LLAMA_SHAPE, "head_dim": 8},
    "ministral": {
        "model_type": "ministral", **_LLAMA_SHAPE, "sliding_window": 4, "layer_types": _EVERY_THIRD,
        "head_dim": 8,
    },
    "ministral3": {
        "model_type": "ministral3", **_LLAMA_SHAPE, "head_dim": 8,
        "rope_parameters": {**_YARN, "rope_theta": 1e6, "llama_4_scaling_beta": 0.1},
    },
    "exaone4": {
        "model_type": "exaone4", **_LLAMA_SHAPE, "sliding_window": 4, "sliding_window_pattern": 3,
    },
    "hunyuan_v1_dense": {"model_type": "hunyuan_v1_dense", **_LLAMA_SHAPE, "head_dim": 8},
    "seed_oss": {"model_type": "seed_oss", **_LLAMA_SHAPE, "head_dim": 8},
    "phi": {"model_type": "phi", **_LLAMA_SHAPE, "qk_layernorm": True},
    "mixtral": {"model_type": "mixtral", **_LLAMA_SHAPE, **_EXPERTS, "sliding_window": 4},
    "qwen2_moe": {
        "model_type": "qwen2_moe", **_LLAMA_SHAPE, **_EXPERTS, "shared_expert_intermediate_size": 8,
        "decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 4,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe", **_LLAMA_SHAPE, **_EXPERTS, "head_dim": 8,
        "mlp_only_layers": [0, 5], "decoder_sparse_step": 3,
    },
    "olmoe": {"model_type": "olmoe", **_LLAMA_SHAPE, **_EXPERTS},
    "gpt_oss": {
        "model_type": "gpt_oss", **_LLAMA_SHAPE, **_EXPERTS, "head_dim": 8, "sliding_window": 4,
        "rope_scaling": {**_YARN, "truncate": False}, "rope_theta": 150000.0,
    },
}  # fmt: skip
"""One small config for each architecture, and a tied one of two of them.

Where a config may compute the kinds of layers from their index, these leave it to do so.
"""

SOME = {
    "llama-tied", "gpt_neox", "gpt2", "qwen3-tied", "gemma3_text", "cohere2", "stablelm", "smollm3",
    "qwen3_moe", "gpt_oss",
}  # fmt: skip
"""Those in which something is as in no other."""


def each(kinds: Iterable[str] = KINDS, *values: object) -> list[ParameterSet]:
    """Parameters for what takes long: a kind each, all but SOME in the lane of long tests."""
    long = pytest.mark.long("once more, of another architecture")
    return [pytest.param(kind, *values, marks=() if kind in SOME else long) for kind in kinds]


@dataclass(frozen=True)
class Duo:
    """A teacher and a student in memory and on disk, and the layers that the student keeps."""

    teacher: PreTrainedModel
    student: PreTrainedModel
    teacher_folder: Path
    student_folder: Path
    kept: tuple[int, ...]

    @property
    def pair(self) -> Pair:
        """Both folders, read anew."""
        return Pair.of(Checkpoint.open(self.teacher_folder), Checkpoint.open(self.student_folder))


def model(kind: str, seed: int, **changes: Any) -> PreTrainedModel:
    """A model whose every parameter, biases and norms too, is random."""
    config = AutoConfig.for_model(**{**KINDS[kind], **changes})
    made = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            centre = 1.0 if "norm" in name or "ln_" in name else 0.0
            parameter.copy_(centre * (parameter.ndim == 1) + 0.3 * noise)
    return made


def duo(
    folder: Path, kind: str, *, kept: Sequence[int] = KEPT, frozen: bool = False, **changes: Any
) -> Duo:
    """A teacher and its student, saved below `folder`; `frozen` gives both one embedding."""
    teacher = model(kind, 1, **changes)
    depth_key = "n_layer" if kind == "gpt2" else "num_hidden_layers"
    student = model(kind, 2, **{**changes, **following(teacher, kept), depth_key: len(kept)})
    if frozen:
        for name in ("embed_tokens", "embed_in", "wte", "wpe"):
            if hasattr(teacher.base_model, name):
                weights = getattr(teacher.base_model, name).state_dict()
                getattr(student.base_model, name).load_state_dict(weights)
    made = Duo(teacher, student, folder / "teacher", folder / "student", tuple(kept))
    teacher.save_pretrained(made.teacher_folder)
    save_student(student, made.student_folder, kept, teacher_layers(teacher))
    return made


def following(teacher: PreTrainedModel, order: Sequence[int]) -> dict[str, Any]:
    """What says the kinds of layers in the config of a model made of these layers of the teacher.

    Read from the teacher as transformers built it, not from how its config was written.
    """
    found: dict[str, Any] = {}
    for key in ("layer_types", "no_rope_layers"):
        if getattr(teacher.config, key, None) is not None:
            found[key] = [getattr(teacher.config, key)[i] for i in order]
    if hasattr(teacher.config, "mlp_only_layers"):
        layers = [teacher.base_model.layers[i] for i in order]
        dense = [at for at, layer in enumerate(layers) if not hasattr(layer.mlp, "experts")]
        found |= {"mlp_only_layers": dense, "decoder_sparse_step": 1}
    return found


def save_student(student: PreTrainedModel, folder: Path, kept: Sequence[int], layers: int) -> None:
    """Save a student as the authors' code does, with student_config.json beside it."""
    student.save_pretrained(folder)
    said = {
        "copied_teacher_layers": list(kept),
        "pruned_teacher_layers": [i for i in range(layers) if i not in kept],
    }
    (folder / "student_config.json").write_text(json.dumps(said))


def teacher_layers(teacher: PreTrainedModel) -> int:
    """Depth of a model in memory."""
    return int(teacher.config.num_hidden_layers)


def edit_json(path: Path, **changes: Any) -> None:
    """Change some keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
