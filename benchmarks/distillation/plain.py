"""A plain loop of the published method: documents padded, whole logits and all hidden states kept.

It is the baseline, so nothing in it is clever, and nothing is slower than it need be. As a command
it trains a random teacher's student on random documents and prints useful tokens/s and peak memory:

    python -m benchmarks.distillation.plain LAYERS WIDTH VOCABULARY BATCH LENGTH STEPS
"""

import copy
import json
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.distillation.shapes import Shape, lengths, peak, random_teacher


def pruned(teacher: Any, kept: list[int]) -> Any:
    """A copy of a model with only the kept layers, in training mode."""
    student = copy.deepcopy(teacher).requires_grad_(True).train()
    student.model.layers = nn.ModuleList(student.model.layers[index] for index in kept)
    student.config.num_hidden_layers = len(kept)
    for index, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = index
    return student


def loss(student: Any, teacher: Any, kept: list[int], ids: Tensor, mask: Tensor) -> Tensor:
    """The published loss of padded documents (B, T); `mask` is 1 where a token is real."""
    s = student(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    with torch.no_grad():
        t = teacher(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    vocabulary = s.logits.shape[-1]
    labels = ids.masked_fill(mask == 0, -100)[:, 1:].reshape(-1)
    ce = functional.cross_entropy(s.logits[:, :-1].reshape(-1, vocabulary), labels)
    # Over padding too, as published.
    kl = functional.kl_div(
        functional.log_softmax(s.logits.view(-1, vocabulary), -1),
        functional.softmax(t.logits.view(-1, vocabulary), -1),
        reduction="batchmean",
    )
    last = teacher.config.num_hidden_layers - 1
    ends = [*(index - 1 for index in kept[1:]), last]
    pairs = [(0, 0), *((j + 1, end + 1) for j, end in enumerate(ends))]
    distances = [
        (1 - functional.cosine_similarity(s.hidden_states[a], t.hidden_states[b], dim=-1))[
            mask > 0
        ].mean()
        for a, b in pairs
    ]
    total: Tensor = ce + 0.1 * kl + 2.0 * torch.stack(distances).sum() / len(pairs)
    return total


def padded(documents: list[Tensor], length: int) -> tuple[Tensor, Tensor]:
    """Documents of at most `length` tokens as rows (B, length), and the mask of real tokens."""
    ids = torch.zeros(len(documents), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = document
        mask[row, : len(document)] = 1
    return ids, mask


def main(arguments: list[str]) -> None:
    """Measure one shape, and print what was found as JSON."""
    shape = Shape(*map(int, arguments))
    torch.manual_seed(0)
    torch.set_num_threads(2)
    teacher = random_teacher(shape)
    student = pruned(teacher, shape.kept)
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-4)
    sizes = lengths(shape, (shape.steps + 1) * shape.batch)
    began, used = 0.0, 0
    for step in range(shape.steps + 1):
        if step == 1:
            began, used = time.perf_counter(), 0
        here = sizes[step * shape.batch : (step + 1) * shape.batch]
        documents = [torch.randint(1, shape.vocabulary, (size,)) for size in here]
        used += sum(here)
        found = loss(student, teacher, shape.kept, *padded(documents, shape.length))
        optimiser.zero_grad()
        torch.autograd.backward(found)
        optimiser.step()
    seconds = time.perf_counter() - began
    everything = shape.steps * shape.batch * shape.length
    figures = {"useful_tokens_per_s": used / seconds, "tokens_per_s": everything / seconds}
    print(json.dumps({**figures, "peak_mb": peak()}))


if __name__ == "__main__":
    main(sys.argv[1:])
