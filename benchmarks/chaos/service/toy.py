"""Models of random numbers: what is tried is the service."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

LAYERS, WIDTH, WORDS = 8, 16, 64
Tensors = Mapping[str, np.ndarray[Any, Any]]


def teacher(folder: Path) -> None:
    """Write a Llama of 8 layers, a few kilobytes."""
    draw = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (WORDS, WIDTH)}
    for i in range(LAYERS):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{x}_proj.weight": (WIDTH, WIDTH) for x in "qkvo"}
        shapes |= {f"{at}.mlp.{x}_proj.weight": (2 * WIDTH, WIDTH) for x in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (WIDTH, 2 * WIDTH)}
        norms = ("input_layernorm", "post_attention_layernorm")
        shapes |= {f"{at}.{x}.weight": (WIDTH,) for x in norms}
    shapes |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (WORDS, WIDTH)}
    tensors = {name: draw.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    _write(folder, tensors, LAYERS)


def texts(folder: Path) -> None:
    """Write a line of text for each split."""
    folder.mkdir(parents=True)
    for split in ("train", "calibration", "heldout"):
        (folder / f"{split}.txt").write_text(f"in the beginning of {split}\n", "utf-8")


def student(source: Path, kept: Sequence[int], key: str, out: Path) -> None:
    """Write the student of a key: the layers that it keeps, with numbers of its own."""
    draw = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:12], 16))
    found, made = load_file(source / "model.safetensors"), {}
    for name, value in found.items():
        head, _, rest = name.partition("model.layers.")
        if not head and rest:
            number, _, tail = rest.partition(".")
            if int(number) not in kept:
                continue
            name = f"model.layers.{list(kept).index(int(number))}.{tail}"
        made[name] = (value + draw.normal(size=value.shape, scale=0.01)).astype(np.float32)
    _write(out, made, len(kept))
    told = {
        "copied_teacher_layers": list(kept),
        "pruned_teacher_layers": sorted(set(range(LAYERS)) - set(kept)),
    }
    (out / "student_config.json").write_text(json.dumps(told), "utf-8")


def _write(folder: Path, tensors: dict[str, np.ndarray[Any, Any]], layers: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH, "num_attention_heads": 2, "num_key_value_heads": 2,
        "num_hidden_layers": layers, "vocab_size": WORDS, "tie_word_embeddings": False,
        "dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
