"""Train the small teacher: Qwen3 shape, tied embeddings, 12 layers, on the King James Bible.

    python examples/kjv/train_teacher.py            # about half an hour on two quiet cores

Makes the tokenizer (byte-level BPE) and the model from nothing, and writes them to
`examples/kjv/KJV-1.4M` as a normal transformers folder, with the loss curve in
`examples/kjv/losses.csv`. The weights kept are those with the lowest loss on the calibration
split; the held-out split is only reported. A run that is stopped goes on from
`examples/kjv/run/checkpoint.pt`, which is written every `EVERY` steps.
"""

import csv
import json
import lzma
import math
import os
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

HERE = Path(__file__).parent
TEACHER, RUN = HERE / "KJV-1.4M", HERE / "run"
VOCABULARY, LAYERS, WIDTH, CONTEXT = 2048, 12, 96, 256
BATCH, STEPS, WARMUP, PEAK, FLOOR, DECAY = 16, 3200, 200, 3e-3, 3e-5, 0.3
EVERY = 100
END = "<|endoftext|>"


def documents(split: str) -> list[str]:
    """Read the chapters of a split."""
    with lzma.open(HERE / f"{split}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the training split (or load the one already trained)."""
    if (TEACHER / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(TEACHER)
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        documents("train"),
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.save_pretrained(TEACHER)
    return tokenizer


def pack(tokenizer: PreTrainedTokenizerFast, split: str) -> torch.Tensor:
    """Tokenise a split into one stream, each chapter after an end-of-text token: (tokens,)."""
    end = tokenizer.eos_token_id
    stream = [token for text in documents(split) for token in [end, *tokenizer.encode(text)]]
    return torch.tensor(stream)


@torch.no_grad()
def loss_on(model: Qwen3ForCausalLM, stream: torch.Tensor) -> float:
    """Mean cross-entropy in nats per token over consecutive windows of CONTEXT tokens."""
    model.eval()
    windows = stream[: len(stream) // CONTEXT * CONTEXT].view(-1, CONTEXT)  # (W, T)
    losses = [model(input_ids=w, labels=w).loss.item() * len(w) for w in windows.split(32)]
    model.train()
    return sum(losses) / len(windows)


def learning_rate(step: int) -> float:
    """Linear warm-up, then a cosine from PEAK to FLOOR."""
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    progress = (step - WARMUP) / (STEPS - WARMUP)
    return FLOOR + (PEAK - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))


def main() -> None:
    """Train, or go on training, until STEPS; keep the best weights."""
    torch.manual_seed(0)
    RUN.mkdir(exist_ok=True)
    tokenizer = make_tokenizer()
    end = tokenizer.eos_token_id
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, head_dim=24, intermediate_size=256,
        tie_word_embeddings=True, max_position_embeddings=2 * CONTEXT, rope_theta=10000.0,
        bos_token_id=end, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).float().train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95), fused=True)
    train, calibration, heldout = (pack(tokenizer, s) for s in ("train", "calibration", "heldout"))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train):,} tokens")

    first, best, curve = 0, math.inf, list[list[float]]()
    if (RUN / "checkpoint.pt").exists():
        kept = torch.load(RUN / "checkpoint.pt", weights_only=True)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        first, best, curve = kept["step"], kept["best"], kept["curve"]
    started, running = time.monotonic(), 0.0
    for step in range(first, STEPS):
        # The generator is seeded by the step, so that a resumed run sees the same batches.
        starts = torch.randint(
            0, len(train) - CONTEXT, (BATCH,), generator=torch.Generator().manual_seed(step)
        )
        batch = torch.stack([train[s : s + CONTEXT] for s in starts])  # (B, T)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        running += loss.item()
        if (step + 1) % EVERY:
            continue
        row = [step + 1, running / EVERY, loss_on(model, calibration), loss_on(model, heldout)]
        curve.append(row)
        running = 0.0
        if row[2] < best:
            best = row[2]
            model.save_pretrained(TEACHER)
        kept = {
            "model": model.state_dict(), "optimizer": optimizer.state_dict(),
            "step": step + 1, "best": best, "curve": curve,
        }  # fmt: skip
        torch.save(kept, RUN / "checkpoint.tmp")
        os.replace(RUN / "checkpoint.tmp", RUN / "checkpoint.pt")
        with (HERE / "losses.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["step", "train", "calibration", "heldout"], *curve])
        seconds = time.monotonic() - started
        speed = (step + 1 - first) * BATCH * CONTEXT / seconds
        print(f"step {row[0]}: train {row[1]:.3f} calibration {row[2]:.3f} heldout {row[3]:.3f}, "
              f"{speed:,.0f} tokens/s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
