"""Which programs run a model as it is stored, by its architecture and what its layers are.

A loader that works out a layer's kind from its index reads a member wrongly, whose layers have
moved; one that always ties the head loses a head that is stored. Neither says so, so that what is
not in these lists is not promised. They were read in llama.cpp (`TEXT_MODEL_MAP` of
conversion/__init__.py, and src/models) at commit 00bdaa1, and in vLLM (`_TEXT_GENERATION_MODELS` of
vllm/model_executor/models/registry.py, and the models) at commit 0002bff.
"""

from collections.abc import Sequence
from enum import StrEnum

from boomerang.architecture.kinds import SLIDING, Kind


class Runtime(StrEnum):
    """A program that runs models."""

    TRANSFORMERS = "Transformers"
    VLLM = "vLLM"
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "Ollama"
    """It reads the file that llama.cpp's converter writes, with llama.cpp's own code."""


LLAMA_CPP = frozenset({
    "llama", "mistral", "ministral3", "qwen2", "qwen3", "olmo", "olmo2", "phi3", "granite", "gemma",
    "starcoder2", "stablelm", "cohere", "glm", "glm4", "hunyuan_v1_dense", "seed_oss", "phi",
    "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_neox", "gpt2",
})  # fmt: skip
"""What its converter knows, without those whose kinds it takes from the index: `gemma2` (every 2nd
layer), `gemma3_text` (6th), `cohere2`, `olmo3`, `exaone4`, `smollm3` (4th), `gpt_oss` (2nd). It has
no `ministral`."""

VLLM = LLAMA_CPP - {"ministral3"} | {
    "gemma2", "gemma3_text", "cohere2", "olmo3", "exaone4", "smollm3",
}  # fmt: skip
"""What its registry names and reads `layer_types` of; not `gpt_oss`, whose every second layer
slides there whatever the config says, nor `ministral` and `ministral3`, which it does not name."""

TIES = {
    Runtime.LLAMA_CPP: frozenset({"gemma", "cohere"}),
    Runtime.VLLM: frozenset({"gemma", "gemma2", "cohere", "cohere2"}),
}
"""Where a head of its own is never read."""

_WINDOWS_UNREAD = frozenset({"qwen2", "qwen3", "qwen2_moe"})
"""Sliding layers among others of these are read by neither."""


def runtimes(model_type: str, kinds: Sequence[Kind], *, tied: bool) -> tuple[Runtime, ...]:
    """What runs a model whose layers are of these `kinds`, and whose head is `tied` or stored."""
    mixed = model_type in _WINDOWS_UNREAD and any(kind.attention == SLIDING for kind in kinds)
    dense = len({kind.experts for kind in kinds}) > 1
    found = [Runtime.TRANSFORMERS]
    if model_type in VLLM and not mixed and (tied or model_type not in TIES[Runtime.VLLM]):
        found.append(Runtime.VLLM)
    converted = model_type in LLAMA_CPP and (tied or model_type not in TIES[Runtime.LLAMA_CPP])
    if converted and not mixed and not dense:
        found += [Runtime.LLAMA_CPP, Runtime.OLLAMA]
    return tuple(found)
