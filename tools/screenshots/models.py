"""Models whose files are headers and holes: whatever only plans and serves takes them for real."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.sources import FileSource

CARD = """\
---
license: apache-2.0
language:
- en
pipeline_tag: text-generation
library_name: transformers
---
"""
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """What a Llama is like: those of small ones that people run."""

    width: int
    inner: int
    heads: int
    groups: int
    layers: int


SHAPES = {
    "Example-135M": Shape(576, 1536, 9, 3, 30),
    "Example-360M-Instruct": Shape(960, 2560, 15, 5, 32),
    "Example-1.7B": Shape(2048, 8192, 32, 32, 24),
}
VOCABULARY = 49152


def kept_of(shape: Shape) -> list[int]:
    """The layers that a student keeps: every second one, and the last two."""
    return [*range(0, shape.layers - 2, 2), shape.layers - 2, shape.layers - 1]


def write(folder: Path, shape: Shape, layers: int, *, kept: Sequence[int] | None = None) -> None:
    """A Llama of so many layers; one that keeps some of a teacher's is that teacher's student."""
    folder.mkdir(parents=True)
    head, of_groups = shape.width, shape.width // shape.heads * shape.groups
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [VOCABULARY, shape.width]}
    for index in range(layers):
        at = f"model.layers.{index}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": [head, shape.width],
            f"{at}.self_attn.k_proj.weight": [of_groups, shape.width],
            f"{at}.self_attn.v_proj.weight": [of_groups, shape.width],
            f"{at}.self_attn.o_proj.weight": [shape.width, head],
            f"{at}.mlp.gate_proj.weight": [shape.inner, shape.width],
            f"{at}.mlp.up_proj.weight": [shape.inner, shape.width],
            f"{at}.mlp.down_proj.weight": [shape.width, shape.inner],
            f"{at}.input_layernorm.weight": [shape.width],
            f"{at}.post_attention_layernorm.weight": [shape.width],
        }
    shapes["model.norm.weight"] = [shape.width]
    _safetensors(folder / "model.safetensors", shapes)
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "bfloat16",
        "hidden_size": shape.width, "intermediate_size": shape.inner,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.groups,
        "num_hidden_layers": layers, "vocab_size": VOCABULARY, "tie_word_embeddings": True,
        "max_position_embeddings": 8192, "hidden_act": "silu", "rms_norm_eps": 1e-05,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    if kept is not None:
        said = {"copied_teacher_layers": list(kept)}
        (folder / "student_config.json").write_text(json.dumps(said))
        (folder / "boomerang.json").write_text(json.dumps({"frozen_embeddings": True}))
        return
    (folder / "README.md").write_text(CARD)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
    words = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    if "Instruct" in folder.name:
        words["chat_template"] = CHAT
    (folder / "tokenizer_config.json").write_text(json.dumps(words, indent=2))
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {}}))


def _safetensors(file: Path, shapes: dict[str, list[int]]) -> None:
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        out.truncate(8 + len(text) + end)


def known(catalog: Catalog, folder: Path) -> None:
    """Have the files of a folder taken for hashed: nobody reads holes."""
    for file in sorted(folder.iterdir()):
        source = FileSource.of(file)
        digest = hashlib.sha256(f"{folder.name}/{file.name}".encode()).hexdigest()
        catalog.remember_hash(source.path, digest, source)
