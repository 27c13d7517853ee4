"""The choice of an optimiser: its package, its state, its learning rate."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from boomerang.distill.optimisers import moments, optimiser_for, resume, set_rate
from boomerang.recipes.recipe import Recipe
from tests.distill.jobs import RECIPE, job, told


def test_eight_bits_without_their_package_are_refused_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchao.optim", None)
    status, said = told(job(folder, recipe={"optimiser": "adamw8bit"}), capsys)
    assert (status, [e["event"] for e in said]) == (1, ["error"])
    assert (said[0]["slug"], said[0]["value"]) == ("bad-recipe", "adamw8bit")
    assert "torchao" in said[0]["detail"]
    assert "pip install" in said[0]["fix"]


# What torch.compile says of itself while it compiles a step.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["adamw", "adamw8bit"])
def test_its_state_can_be_taken_up_by_another(name: str) -> None:
    if name == "adamw8bit":
        pytest.importorskip("torchao.optim")
    recipe = Recipe.parse({**RECIPE, "optimiser": name})
    torch.manual_seed(0)
    first = nn.Parameter(torch.randn(64, 128))
    second = nn.Parameter(first.detach().clone())
    one, other = optimiser_for(recipe, [first]), optimiser_for(recipe, [second])
    slopes = torch.randn(4, 64, 128)
    for slope in slopes[:2]:
        step(one, first, slope)
    with torch.no_grad():
        second.copy_(first)
    resume(other, {second: {key: value.clone() for key, value in moments(one, first).items()}})
    assert second.equal(first)
    for slope in slopes[2:]:
        step(one, first, slope)
        step(other, second, slope)
    assert not first.equal(second) if name == "adamw8bit" else first.equal(second)
    torch.testing.assert_close(second, first, rtol=0, atol=2e-4)


def step(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, slope: torch.Tensor) -> None:
    set_rate(optimiser, 1e-3)
    parameter.grad = slope.clone()
    optimiser.step()
