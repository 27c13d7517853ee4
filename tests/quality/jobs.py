"""Tasks of the evaluation harness that need no Hub: YAML files beside their examples."""

import json
import random
from pathlib import Path

import yaml

from tests.distill.jobs import WORDS

EXAMPLES = 6


def save_tasks(folder: Path) -> Path:
    """Tasks of each kind: `tiny_choice`, `tiny_text`, `tiny_write`, and two that cannot be run."""
    folder.mkdir()
    draw = random.Random(1)
    rows = []
    for _ in range(EXAMPLES):
        # Of one token and of more, and longer than any tiny model can see.
        question = " ".join(draw.choices(WORDS, k=draw.choice((3, 9, 90))))
        choices = [" ".join(draw.choices(WORDS, k=k)) for k in (1, 1, 2, 4)]
        rows.append({"question": question, "choices": choices, "answer": draw.randrange(4)})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
        "test_split": "test",
        "metadata": {"version": 1.5},
    }
    accuracy = [
        {"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm")
    ]
    perplexity = [{"metric": m} for m in ("word_perplexity", "bits_per_byte")]
    tasks = {
        "tiny_choice": {
            "output_type": "multiple_choice", "doc_to_text": "{{question}}",
            "doc_to_choice": "{{choices}}", "doc_to_target": "answer", "metric_list": accuracy,
        },
        "tiny_text": {
            "output_type": "loglikelihood_rolling", "doc_to_text": "",
            "doc_to_target": "{{question}}", "metric_list": perplexity,
        },
        "tiny_write": {
            "output_type": "generate_until", "doc_to_text": "{{question}}",
            "doc_to_target": "{{choices[3]}}", "metric_list": [{"metric": "exact_match"}],
            "generation_kwargs": {"until": ["w7"], "max_gen_toks": 6, "do_sample": False},
        },
        "tiny_lost": {
            "output_type": "multiple_choice", "doc_to_text": "{{question}}",
            "doc_to_choice": "{{choices}}", "doc_to_target": "answer", "metric_list": accuracy,
            "dataset_kwargs": {"data_files": {"test": str(folder / "lost.jsonl")}},
        },
        "tiny_sampled": {
            "output_type": "generate_until", "doc_to_text": "{{question}}",
            "doc_to_target": "{{choices[3]}}", "metric_list": [{"metric": "exact_match"}],
            "generation_kwargs": {"until": ["w7"], "max_gen_toks": 6, "temperature": 0.7},
        },
    }  # fmt: skip
    for name, fields in tasks.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **shared, **fields}))
    return folder
