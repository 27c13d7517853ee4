"""A member as a model of transformers that holds no parameter of its own.

It is the teacher's module, copied as thinly as can be: what says which place a layer has, and what
leads to that, is a new object; every parameter and every other module is the teacher's or the
student's own. So transformers' own `generate` runs on it, with keys and values kept by place.
"""

from collections.abc import Mapping
from copy import copy
from typing import Any

from torch import nn

from boomerang.architecture.supported import ARCHITECTURES
from boomerang.family.composition import Composition
from boomerang.family.member_config import LAYER_INDICES, PER_LAYER
from boomerang.modules.couple import Couple

_PLACE = "layer_idx"
"""What transformers calls a layer's place wherever a module has to know it."""
_SLIDING = "sliding_attention"


def put_together(couple: Couple, composition: Composition, config: Mapping[str, Any]) -> Any:
    """The member, ready to generate; `config` is what its config.json says (`member_config`).

    Its parameters are those of the couple, and stay so: what is done to them is done to all.
    """
    teacher = couple.teacher
    architecture = ARCHITECTURES[str(teacher.config.model_type)]
    told = _config(teacher.config, config, architecture.depth_key)
    model, base = _thin(teacher.model), _thin(teacher.base)
    model.config = base.config = told
    model._modules[architecture.prefix.rstrip(".")] = base
    layers = _thin(teacher.layers)
    layers._modules = {
        str(place): _placed(couple.side(layer.side).layers[layer.index], place, told)
        for place, layer in enumerate(composition.layers)
    }
    base._modules[architecture.layers.rstrip(".")] = layers
    embedding, last = couple.side(composition.embeddings), couple.side(composition.norm)
    for name, module in zip(architecture.embeddings, embedding.embeddings, strict=True):
        base._modules[name.rstrip(".")] = module
    base._modules[architecture.norm.rstrip(".")] = last.last_norm
    model._modules["lm_head"] = couple.side(composition.head).model.lm_head
    # Rotary modules may keep frequencies for the longest text they have seen.
    if (rotary := base._modules.get("rotary_emb")) is not None:
        base._modules["rotary_emb"] = _thin(rotary)
    if hasattr(base, "has_sliding_layers"):
        base.has_sliding_layers = _SLIDING in told.layer_types
    return model


def _config(teacher: Any, said: Mapping[str, Any], depth_key: str) -> Any:
    """The teacher's config as transformers has it, with what is the member's own."""
    config = copy(teacher)
    setattr(config, depth_key, said[depth_key])
    for key in (*PER_LAYER, *LAYER_INDICES):
        if isinstance(said.get(key), list):
            setattr(config, key, said[key])
    # Not said in config.json, some configs keep a list that their class has computed.
    for key in PER_LAYER:
        listed = getattr(config, key, None)
        if key not in said and isinstance(listed, list):
            setattr(config, key, listed[: said[depth_key]])
    return config


def _placed(module: nn.Module, place: int, config: Any) -> nn.Module:
    """A layer at its place: copies of the modules that know it, and of those that hold them."""
    made: nn.Module = _thin(module)
    _place(made, place, config)
    return made


def _place(module: nn.Module, place: int, config: Any) -> None:
    """Give a thin copy its place, and every module below it that has one."""
    if _PLACE in module.__dict__:
        setattr(module, _PLACE, place)
    if "config" in module.__dict__:
        module.config = config
    for name, child in module._modules.items():
        if child is not None and any(_PLACE in each.__dict__ for each in child.modules()):
            module._modules[name] = held = _thin(child)
            _place(held, place, config)


def _thin(module: Any) -> Any:
    """A new module around the same parameters, buffers and modules."""
    made = module.__class__.__new__(module.__class__)
    made.__dict__.update(module.__dict__)
    for kept in ("_parameters", "_buffers", "_modules"):
        made.__dict__[kept] = dict(module.__dict__[kept])
    return made
