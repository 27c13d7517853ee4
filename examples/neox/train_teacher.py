"""Train another small teacher: GPT-NeoX shape, untied, 12 layers, on Debian's documentation.

    python examples/neox/train_teacher.py TEXT FOLDER     # half an hour of one core

TEXT is the folder `prose` that `examples/smollm2/make_text.py` makes. Tokenizer (byte-level BPE)
and model are made from nothing and written to FOLDER as a normal transformers folder. It is
the teacher of another architecture and another text that recipes and layer maps are tried on,
beside examples/kjv: nothing was tuned on it.
"""

import argparse
import json
import lzma
import math
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

VOCABULARY, LAYERS, WIDTH, CONTEXT = 2048, 12, 96, 256
BATCH, STEPS, WARMUP, PEAK, DECAY = 8, 2400, 100, 2e-3, 0.1
END = "<|endoftext|>"


def main() -> None:
    """Train, and write the folder under its name when it is whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    if options.folder.exists():
        print(f"{options.folder} is there")
        return
    torch.manual_seed(0)
    partial = options.folder.parent / f".{options.folder.name}.partial"
    tokenizer = make_tokenizer(options.text)
    end = tokenizer.eos_token_id
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=4 * WIDTH, max_position_embeddings=2 * CONTEXT,
        tie_word_embeddings=False, bos_token_id=end, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    model = GPTNeoXForCausalLM(config).float().train()
    learn(model, packed(tokenizer, options.text), options.steps)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, options.folder)


def documents(folder: Path, split: str) -> Iterator[str]:
    """Read the documents of a split."""
    with lzma.open(folder / f"{split}.jsonl.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def make_tokenizer(text: Path) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the training split."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(islice(documents(text, "train"), 400), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=END,
        model_max_length=CONTEXT, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def packed(tokenizer: PreTrainedTokenizerFast, text: Path) -> torch.Tensor:
    """The training split as one stream, each document after an end-of-text token: (tokens,)."""
    end, stream = tokenizer.eos_token_id, list[int]()
    for document in documents(text, "train"):
        stream += [end, *tokenizer.encode(document)]
    return torch.tensor(stream)


def learn(model: GPTNeoXForCausalLM, tokens: torch.Tensor, steps: int) -> None:
    """Train on random windows, a warm-up and half a cosine of the learning rate."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK, betas=(0.9, 0.95), weight_decay=DECAY, fused=True
    )
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        starts = torch.randint(0, len(tokens) - CONTEXT, (BATCH,), generator=generator)
        batch = torch.stack([tokens[s : s + CONTEXT] for s in starts])  # (B, T)
        progress = max(0.0, (step - WARMUP) / (steps - WARMUP))
        rate = min((step + 1) / WARMUP, 0.5 * (1 + math.cos(math.pi * progress)))
        optimizer.param_groups[0]["lr"] = PEAK * rate
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} of {steps}: {loss.item():.3f}", flush=True)


if __name__ == "__main__":
    main()
