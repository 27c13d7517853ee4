"""One model by itself: loaded with transformers, asked with its own generate.

`python -m benchmarks.play.alone JOB.json`, as boomerang.processes.dialogue speaks with a child.
It knows nothing of members: a second opinion on text and speed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def main() -> None:
    """Load the model of a job file, and answer until stdin ends."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    job = json.loads(Path(sys.argv[1]).read_text())
    tokenizer: Any = AutoTokenizer.from_pretrained(job["folder"])
    dtype = getattr(torch, job["dtype"])
    model: Any = AutoModelForCausalLM.from_pretrained(job["folder"], dtype=dtype).eval()
    model.to(job["device"])
    _say(event="ready")
    for line in sys.stdin:
        ask = json.loads(line)
        given = tokenizer(ask["prompt"], return_tensors="pt")["input_ids"].to(job["device"])
        begun, busy = time.perf_counter(), time.process_time()
        written = model.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            max_new_tokens=ask["max_tokens"],
            pad_token_id=tokenizer.eos_token_id,
        )[0, given.shape[1] :]
        # On a GPU the tokens are awaited here.
        tokens, seconds = written.tolist(), time.perf_counter() - begun
        busy = time.process_time() - busy
        whole = tokenizer.decode([*given[0].tolist(), *tokens], skip_special_tokens=True)
        before = tokenizer.decode(given[0].tolist(), skip_special_tokens=True)
        _say(event="done", id=ask["id"], text=whole[len(before) :], tokens=len(tokens),
             seconds=seconds, busy=busy)  # fmt: skip


def _say(**event: object) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
