"""Checkpoints of any width in the shape of a Llama, random weights, written without torch."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

BLOCK = 1 << 24
"""Random numbers that are drawn; every tensor is cut from them at another place."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama. `kept` are the teacher's layers that the student has."""

    hidden: int
    inner: int
    heads: int
    vocabulary: int
    layers: int

    @property
    def kept(self) -> tuple[int, ...]:
        """Every other layer."""
        return tuple(range(0, self.layers, 2))

    @property
    def patched(self) -> int:
        """How many blocks the measured member has patched: half of them, and a bit."""
        return len(self.kept) // 2 + 1


FULL = Shape(2048, 5632, 16, 32000, 28)
"""The layers of a TinyLlama 1.1B, 28 of them: a teacher of 2.8 GB, a member of 2.2 GB."""

TOY = Shape(16, 24, 2, 48, 8)


def main() -> None:
    """Write `teacher`, `student` and `student-f32` below a folder, at full or at toy size."""
    folder, size = Path(sys.argv[1]), sys.argv[2]
    shape = TOY if size == "toy" else FULL
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(BLOCK if shape is FULL else 1 << 14, np.float32) * 0.02
    narrow = numbers.astype(ml_dtypes.bfloat16)
    write(folder / "teacher", shape, shape.layers, "BF16", narrow.tobytes(), 1)
    for name, dtype, data in (
        ("student", "BF16", narrow.tobytes()),
        ("student-f32", "F32", numbers.tobytes()),
    ):
        write(folder / name, shape, len(shape.kept), dtype, data, 2)
        said = json.dumps({"copied_teacher_layers": list(shape.kept)})
        (folder / name / "student_config.json").write_text(said)


def write(folder: Path, shape: Shape, layers: int, dtype: str, data: bytes, seed: int) -> None:
    """Write one checkpoint: config.json and model.safetensors."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config(shape, layers, dtype), indent=1))
    width = 2 if dtype == "BF16" else 4
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    sizes: list[int] = []
    for name, dimensions in tensors(shape, layers):
        sizes.append(int(np.prod(dimensions)) * width)
        offsets = [position, position + sizes[-1]]
        header[name] = {"dtype": dtype, "shape": dimensions, "data_offsets": offsets}
        position += sizes[-1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    view = memoryview(data)
    with open(folder / "model.safetensors", "wb", buffering=0) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, size in enumerate(sizes):
            at = (number * 7919 + seed * 104729) * 64 % (len(data) // 2)
            while size:
                size -= file.write(view[at : at + size])
                at = 0


def tensors(shape: Shape, layers: int) -> list[tuple[str, list[int]]]:
    """Names and shapes of all tensors, in the order in which they are stored."""
    wide, inner, few = shape.hidden, shape.inner, shape.hidden // shape.heads * (shape.heads // 2)
    found = [("model.embed_tokens.weight", [shape.vocabulary, wide])]
    for layer in range(layers):
        found += [
            (f"model.layers.{layer}.{name}.weight", dimensions)
            for name, dimensions in (
                ("input_layernorm", [wide]),
                ("mlp.down_proj", [wide, inner]),
                ("mlp.gate_proj", [inner, wide]),
                ("mlp.up_proj", [inner, wide]),
                ("post_attention_layernorm", [wide]),
                ("self_attn.k_proj", [few, wide]),
                ("self_attn.o_proj", [wide, wide]),
                ("self_attn.q_proj", [wide, wide]),
                ("self_attn.v_proj", [few, wide]),
            )
        ]
    return [*found, ("model.norm.weight", [wide]), ("lm_head.weight", [shape.vocabulary, wide])]


def config(shape: Shape, layers: int, dtype: str) -> dict[str, Any]:
    """The config.json that transformers and mergekit read."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads // 2,
        "num_hidden_layers": layers,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16" if dtype == "BF16" else "float32",
    }


if __name__ == "__main__":
    main()
