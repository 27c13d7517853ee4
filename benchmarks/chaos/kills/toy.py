"""A teacher of random numbers and a few pages of text: what is tried here is the service."""

import json
import lzma
import shutil
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"
LAYERS = 8


def make(folder: Path) -> None:
    """Write `toy` (a Llama of 8 layers) and `texts` below a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = EXAMPLES / "kjv" / "KJV-1.4M"
    vocabulary = json.loads((tokenizer / "config.json").read_text("utf-8"))["vocab_size"]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
        max_position_embeddings=256,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "toy")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / "toy" / name)
    (folder / "texts").mkdir()
    for split, lines in (("train", 200), ("calibration", 10), ("heldout", 10)):
        with lzma.open(EXAMPLES / "kjv" / f"{split}.jsonl.xz", "rt", encoding="utf-8") as text:
            taken = [line for line, _ in zip(text, range(lines), strict=False)]
        (folder / "texts" / f"{split}.jsonl").write_text("".join(taken), "utf-8")
