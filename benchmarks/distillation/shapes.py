"""What both sides train: one shape of teacher, documents of one distribution of lengths."""

import resource
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM


@dataclass(frozen=True)
class Shape:
    """A teacher of `layers` layers, and steps of `batch` sequences of `length` tokens."""

    layers: int
    width: int
    vocabulary: int
    batch: int
    length: int
    steps: int

    @property
    def kept(self) -> list[int]:
        """The layers of the published student."""
        return [0, *range(2, self.layers - 1, 2), self.layers - 1]

    @property
    def arguments(self) -> list[str]:
        """As the arguments of a command."""
        fields = (self.layers, self.width, self.vocabulary, self.batch, self.length, self.steps)
        return [str(field) for field in fields]


def random_teacher(shape: Shape) -> Any:
    """A tied teacher in the shape of a Qwen3, of random numbers, in float32."""
    config = AutoConfig.for_model(
        "qwen3",
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // 32,
        num_key_value_heads=max(1, shape.width // 64),
        head_dim=32,
        intermediate_size=shape.width * 3,
        tie_word_embeddings=True,
    )
    return AutoModelForCausalLM.from_config(config).float().eval().requires_grad_(False)


def lengths(shape: Shape, documents: int) -> list[int]:
    """Lengths of documents: exponential around half a sequence, at least 16, at most a sequence."""
    drawn = torch.distributions.Exponential(2 / shape.length).sample((max(4096, documents),)) + 16
    return [int(length) for length in drawn.clamp(max=shape.length)][:documents]


def peak() -> float:
    """The most memory that this process has had, in MB (10⁶ bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
