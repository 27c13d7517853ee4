"""Measuring models as anybody would: loaded from a Hub by name, one plain forward pass each.

`python -m boomerang.quality.from_hub JOB.json` with the Hub in HF_ENDPOINT. Nothing here knows
how a model was put together, so what it prints is a second opinion on what the service measured.
JSON lines on stdout, one for each model. Exit status 1 where one does not load as it should.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from boomerang.errors import BadRecipe, CorruptCheckpoint
from boomerang.processes.reporting import JobFile
from boomerang.texts.chat import Chat
from boomerang.texts.conversations import Conversation
from boomerang.texts.texts import Texts

WINDOWS_AT_ONCE = 8


class HubJob(JobFile):
    """Which models, smallest first; the last one is the teacher that KL is taken to.

    `tokens` and `length` are the service's own when it measures, so that both can be compared.
    """

    models: list[str]
    data: Path
    tokens: int = 65536
    length: int = 256
    prompt: str = "And the LORD said unto Moses,"
    new_tokens: int = 24
    temperature: float = 0.8
    top_k: int = 20
    seed: int = 0


def main(arguments: list[str]) -> int:
    """Measure every model of a job file and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        job = HubJob.load(arguments[0] if arguments else "")
        for found in run(job):
            print(json.dumps(found), flush=True)
    except (BadRecipe, CorruptCheckpoint, OSError) as error:
        print(json.dumps({"error": " ".join(str(error).split())}), flush=True)
        return 1
    return 0


def run(job: HubJob) -> Iterator[dict[str, Any]]:
    """Yield `model`, `layers`, `parameters`, `perplexity`, `kl` (nats a token) and `text`.

    Raises OSError where a model cannot be had, CorruptCheckpoint where keys are missing or left
    over, BadRecipe for too little text.
    """
    models = [load(name) for name in job.models]
    measured = measure(models, heldout(job, job.models[-1]))
    for name, model, (perplexity, kl) in zip(job.models, models, measured, strict=True):
        yield {
            "model": name,
            "layers": model.config.num_hidden_layers,
            "parameters": model.num_parameters(),
            "perplexity": perplexity,
            "kl": kl,
            "text": write(model, name, job),
        }


def load(name: str) -> Any:
    """A model by its name on the Hub, in float32. Raises OSError or CorruptCheckpoint."""
    model, info = AutoModelForCausalLM.from_pretrained(  # what is served now  # nosec B615
        name, dtype=torch.float32, output_loading_info=True
    )
    wrong = {kind: keys for kind, keys in info.items() if keys}
    if wrong:
        raise CorruptCheckpoint(f"{name!r} did not load cleanly: {wrong}.", value=name)
    return model.eval()


def heldout(job: HubJob, tokenizer: str) -> list[Tensor]:
    """Batches of windows (B, length + 1) of token ids from the start of the held-out text.

    Documents are packed, each after an end-of-text token. Raises BadRecipe for too little text.
    """
    encode = AutoTokenizer.from_pretrained(tokenizer)  # as above  # nosec B615
    ids: list[int] = []
    chat = Chat(encode, tokenizer)
    for document in Texts.open(job.data).documents("heldout"):
        if isinstance(document, Conversation):
            document = chat.render(document)
        ids.append(encode.eos_token_id)
        ids.extend(encode(document, add_special_tokens=False)["input_ids"])
        if len(ids) > job.tokens:
            break
    count = min(job.tokens, len(ids) - 1) // job.length
    if count < 1:
        raise BadRecipe(f"The held-out text has {len(ids)} tokens.", fix="Give more of it.")
    starts = range(0, count * job.length, job.length)
    rows = torch.tensor([ids[start : start + job.length + 1] for start in starts])
    return list(torch.split(rows, WINDOWS_AT_ONCE))


@torch.no_grad()
def logits(model: Any, ids: Tensor) -> Tensor:
    """Logits (B, T, V) in float32."""
    found: Tensor = model(input_ids=ids, use_cache=False).logits.float()
    return found


@torch.no_grad()
def measure(models: list[Any], windows: list[Tensor]) -> list[tuple[float, float]]:
    """Perplexity, and mean KL(teacher ‖ model) in nats a token, of each; the teacher is last.

    `windows` are batches (B, T + 1) of token ids, of which each window predicts T.
    """
    sums = [[0.0, 0.0] for _ in models]
    tokens = 0
    for ids in windows:
        labels = ids[:, 1:].flatten()
        teacher = logits(models[-1], ids[:, :-1]).log_softmax(-1)
        for model, total in zip(models, sums, strict=True):
            own = logits(model, ids[:, :-1]).log_softmax(-1)
            total[0] += float(functional.nll_loss(own.flatten(0, 1), labels, reduction="sum"))
            total[1] += float(functional.kl_div(own, teacher, reduction="sum", log_target=True))
        tokens += labels.numel()
    return [(math.exp(ce / tokens), max(0.0, kl / tokens)) for ce, kl in sums]


@torch.no_grad()
def write(model: Any, name: str, job: HubJob) -> str:
    """A line of text after the prompt, the same at every call."""
    tokenizer = AutoTokenizer.from_pretrained(name)  # as above  # nosec B615
    ids = tokenizer(job.prompt, return_tensors="pt")["input_ids"]
    torch.manual_seed(job.seed)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=job.temperature,
        top_k=job.top_k,
        max_new_tokens=job.new_tokens,
        pad_token_id=tokenizer.eos_token_id,
    )
    text: str = tokenizer.decode(out[0], skip_special_tokens=True)
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
