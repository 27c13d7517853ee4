"""A Llama's files without torch: of any width, its weights random or holes in the file."""

import json
import os
from pathlib import Path


def llama(folder: Path, layers: int, width: int, *, random: bool = False) -> None:
    """A Llama of a given width: its weights random, or holes in the file."""
    inner, words = 4 * width, 64
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [words, width]}
    for i in range(layers):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{x}_proj.weight": [width, width] for x in "qkvo"}
        shapes |= {f"{at}.mlp.{x}_proj.weight": [inner, width] for x in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = [width, inner]
        shapes |= {f"{at}.{x}.weight": [width]
                   for x in ("input_layernorm", "post_attention_layernorm")}  # fmt: skip
    shapes |= {"model.norm.weight": [width], "lm_head.weight": [words, width]}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(os.urandom(end) if random else b"")
        file.truncate(8 + len(text) + end)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"],
              "hidden_size": width, "intermediate_size": inner, "num_attention_heads": 16,
              "num_key_value_heads": 16, "num_hidden_layers": layers, "vocab_size": words,
              "tie_word_embeddings": False}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
