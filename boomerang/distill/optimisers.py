"""The optimiser of a recipe: AdamW, or AdamW that keeps its two moments in 8 bits."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from boomerang.errors import BadRecipe
from boomerang.recipes.fixed import BETAS, WEIGHT_DECAY
from boomerang.recipes.recipe import Recipe

MOMENTS = ("exp_avg", "exp_avg_sq")


def optimiser_for(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """An optimiser for the parameters that are trained. Norms and biases are not decayed.

    Raises BadRecipe where the package of the one that is asked for is not installed.
    """
    weights = list(parameters)
    # As in the published trainer.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "adamw8bit":
        made: torch.optim.Optimizer = _eight_bit()(groups, lr=recipe.learning_rate, betas=BETAS)
        return made
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=BETAS, fused=True)


def _eight_bit() -> Any:
    try:
        from torchao.optim import AdamW8bit  # noqa: PLC0415 - torchao is an extra
    except ImportError as error:
        raise BadRecipe(
            f"The optimiser 'adamw8bit' needs the package torchao ({error}).",
            value="adamw8bit",
            fix="Install torchao (pip install 'boomerang[adamw8bit]'), or set optimiser to "
            "'adamw'.",
        ) from None
    return AdamW8bit


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def moments(optimiser: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """The state of a parameter by name, in float; empty before its first step."""
    return {key: _plain(value) for key, value in optimiser.state.get(parameter, {}).items()}


def _plain(value: Tensor) -> Tensor:
    if not isinstance(value, DTensor):
        # What is kept in 8 bits is a tensor of a class of its own.
        return value if type(value) is Tensor else value.dequantize()
    local = _plain(value.to_local())
    return DTensor.from_local(
        local, value.device_mesh, value.placements,
        run_check=False, shape=value.shape, stride=value.stride(),
    )  # fmt: skip


def resume(
    optimiser: torch.optim.Optimizer, states: Mapping[nn.Parameter, Mapping[str, Tensor]]
) -> None:
    """Give parameters the state that `moments` once told, placed as they are.

    What is kept in 8 bits is rounded once more by this.
    """
    if isinstance(optimiser, torch.optim.AdamW):
        for parameter, state in states.items():
            optimiser.state[parameter] = dict(state)
        return
    # A step that changes nothing has it make its own kind of state.
    for parameter in states:
        parameter.grad = torch.zeros_like(parameter)
    set_rate(optimiser, 0.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    for parameter, state in states.items():
        for key, value in state.items():
            optimiser.state[parameter][key].copy_(value)


def rate_at(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step as a fraction of the peak: a warm-up, then half a cosine to 0."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
