"""How a student begins: made from the kept layers, with what is trained of it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.initialization import no_init_weights

from boomerang.checkpoint.table import Checkpoint
from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal


def student_config(teacher: Checkpoint, layermap: LayerMap) -> dict[str, Any]:
    """The student's config.json: the teacher's, with depth and per-layer lists in step.

    Raises UnsupportedArchitecture where a list does not follow.
    """
    pair = Pair.planned(teacher, layermap, frozen=True)
    itself = Composition.of(layermap, [Choice.STUDENT] * len(layermap.kept))
    return member_config(pair, itself)


def initialise(teacher: Causal, config: Mapping[str, Any], layermap: LayerMap) -> Causal:
    """A student in float32 on the teacher's device: its kept layers and everything outside them.

    In evaluation mode, so that dropout is off: teacher and student are compared token by token.
    """
    fields = {key: value for key, value in config.items() if key != "model_type"}
    settings = AutoConfig.for_model(config["model_type"], **fields)
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(
            settings, dtype=torch.float32, trust_remote_code=False
        )
    model.tie_weights()
    student = Causal(model.eval().to(teacher.device))
    for to, of in zip(student.ends, teacher.ends, strict=True):
        to.load_state_dict(of.state_dict())
    for j, index in enumerate(layermap.kept):
        student.layers[j].load_state_dict(teacher.layers[index].state_dict())
    return student


def freeze(student: Causal) -> None:
    """Keep the embeddings as they are; a head tied to them is frozen with them."""
    for module in student.embeddings:
        module.requires_grad_(False)


def share(student: Causal, teacher: Causal) -> None:
    """Let a student whose embeddings are frozen use its teacher's, where they have one dtype."""
    tied = student.tied
    for mine, theirs in zip(student.embeddings, teacher.embeddings, strict=True):
        ours, its = mine.get_parameter("weight"), theirs.get_parameter("weight")
        if ours.dtype is its.dtype:
            mine.register_parameter("weight", its)
    if tied:
        student.model.lm_head.weight = student.tokens.weight


def trained(student: Causal) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by module name; a tied one appears once."""
    return {name: p for name, p in student.model.named_parameters() if p.requires_grad}
