"""Loading a checkpoint into modules of transformers, in the dtype that is asked for."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.wrappers import LANGUAGE_MODEL
from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.checkpoint.table import Checkpoint
from boomerang.modules.causal import Causal

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, said) for name, said in FLOAT_NAMES.items()}
"""Floating dtypes by their names in safetensors."""


def load(folder: Path, *, dtype: torch.dtype | None, where: torch.device | None = None) -> Causal:
    """A model from a folder of safetensors, in evaluation mode, gradients off.

    `dtype`, that of the parameters, is the stored one where it is None. Buffers are in float32
    whatever that is. Nothing is fetched and no code of the folder is run. Raises what `dissect`
    raises for folders that are no usable checkpoint.
    """
    stored = Checkpoint.open(folder)
    alone = dissect(stored).config
    nested = {}
    if alone["model_type"] != stored.config["model_type"]:
        fields = {key: value for key, value in alone.items() if key != "model_type"}
        config = AutoConfig.for_model(alone["model_type"], **fields)
        nested = {"config": config, "key_mapping": dict(LANGUAGE_MODEL)}
    model = AutoModelForCausalLM.from_pretrained(  # a folder  # nosec B615
        folder,
        dtype="auto" if dtype is None else dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **nested,
    )
    model.requires_grad_(False)
    _restore_buffers(model)
    return Causal(model.eval().to(where or torch.device("cpu")))


def cast(model: Causal, dtype: torch.dtype) -> None:
    """Bring the parameters to a dtype, in place; buffers keep theirs.

    Frequencies of rotary positions rounded to bfloat16 are a radian off after a thousand tokens.
    """
    for parameter in model.model.parameters():
        parameter.data = parameter.data.to(dtype)


def _restore_buffers(model: Any) -> None:
    """Give a model the buffers that its class computes in float32.

    Loaded in another dtype it has some of them rounded, as the factor of Gemma's embeddings.
    """
    with torch.device("meta"), no_init_weights():
        twin = type(model)._from_config(model.config, dtype=torch.float32)
    for name, module in twin.named_modules():
        computed = module._non_persistent_buffers_set
        for key in computed:
            setattr(module, key, torch.empty_like(getattr(module, key), device="cpu"))
        if computed:
            twin._init_weights(module)
        for key in computed:
            setattr(model.get_submodule(name), key, getattr(module, key))
