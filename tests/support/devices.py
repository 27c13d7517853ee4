"""Devices that this machine does not have, as what is decided by device sees them."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from boomerang.modules.accelerator import Accelerator

GIB = 1 << 30


@dataclass(frozen=True)
class Card:
    """A GPU as its driver describes it."""

    major: int
    minor: int
    memory: int


V100 = Card(7, 0, 16 * GIB)
T4 = Card(7, 5, 15 * GIB)
A100 = Card(8, 0, 40 * GIB)
H100 = Card(9, 0, 80 * GIB)

PRECISE = Accelerator("cpu")
MIXED = Accelerator("cpu", bfloat16=True)
"""A CPU with bfloat16 units, which goes the way of a GPU."""


def described(card: Card, patch: pytest.MonkeyPatch) -> Accelerator:
    """What is read of a card where torch sees it; older ones emulate bfloat16, as they do."""
    about = SimpleNamespace(major=card.major, minor=card.minor, total_memory=card.memory)
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "current_device", lambda: 0)
    patch.setattr(torch.cuda, "get_device_properties", lambda _: about)
    patch.setattr(torch.cuda, "device", _Current)
    patch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    return Accelerator.of.__wrapped__(Accelerator, torch.device("cuda"))


class _Current:
    def __init__(self, where: torch.device) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


def pretend(accelerator: Accelerator, patch: pytest.MonkeyPatch) -> None:
    """Let everything decide as on this device, wherever it runs."""
    patch.setattr(Accelerator, "of", staticmethod(lambda where: accelerator))
