"""A tiny teacher with a tokenizer, a text, and jobs for the trainer."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from boomerang.distill import __main__ as trainer
from boomerang.recipes.recipe import Recipe
from tests.support.models import VOCABULARY, model

WORDS = [f"w{i}" for i in range(VOCABULARY - 3)]
RECIPE: dict[str, Any] = {
    "steps": 6,
    "batch_tokens": 64,
    "sequence_length": 16,
    "micro_batch": 2,
    "learning_rate": 1e-2,
    "patch_probability": 0.5,
    "patch_after": 0.3,
}


TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('No tools here') }}"
    "{% endif %}{{ 'w1' if m.role == 'assistant' else 'w0' }} {{ m.content }} {{ eos_token }} "
    "{% endfor %}"
)
"""A chat template whose turns end as documents do, with the end-of-text token."""


def save_tokenizer(folder: Path, template: str | None = None, begin: str | None = None) -> None:
    """A tokenizer of words; `begin` is the special token that it puts before a text."""
    names = ["<unk>", "<s>", "</s>", *WORDS]
    words = models.WordLevel({word: i for i, word in enumerate(names)}, unk_token="<unk>")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if begin is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, names.index(begin))]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    made.chat_template = template
    made.save_pretrained(folder)


def save_texts(folder: Path, documents: int = 40) -> Path:
    folder.mkdir(exist_ok=True)
    draw = random.Random(0)
    for split in ("train", "calibration", "heldout"):
        lines = (" ".join(draw.choices(WORDS, k=20)) for _ in range(documents))
        rows = [json.dumps({"text": line}) for line in lines]
        (folder / f"{split}.jsonl").write_text("\n".join(rows))
    return folder


def save_conversations(folder: Path, documents: int = 40) -> Path:
    """Conversations of two turns each, in a folder for each split, beside the texts in `folder`."""
    draw = random.Random(1)
    for split in ("train", "calibration", "heldout"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        rows = []
        for _ in range(documents):
            said = [" ".join(draw.choices(WORDS, k=4)) for _ in range(4)]
            roles = ["user", "assistant"] * 2
            messages = [{"role": r, "content": c} for r, c in zip(roles, said, strict=True)]
            rows.append(json.dumps({"messages": messages}))
        (folder / split / "chat.jsonl").write_text("\n".join(rows))
    return folder


def save_teacher(
    folder: Path, kind: str = "qwen3-tied", *, template: str | None = None, **changes: Any
) -> Path:
    model(kind, 1, **changes).save_pretrained(folder)
    save_tokenizer(folder, template)
    return folder


def job(
    folder: Path, name: str = "a", *, recipe: dict[str, Any] | None = None, **more: Any
) -> Path:
    """A job file below `folder`, which has a teacher and texts in it."""
    fields = Recipe.stored({**RECIPE, **(recipe or {})}).model_dump(mode="json")
    path = folder / f"{name}.json"
    described = {
        "teacher": str(folder / "teacher"),
        "teacher_name": "tiny",
        "teacher_commit": "0" * 40,
        "out": str(folder / f"{name}-student"),
        "run": str(folder / f"{name}-run"),
        "recipe": fields,
        "data": str(folder / "texts"),
        "seed": 0,
        "kept": None,
        "key": "k" * 32,
        **more,
    }
    path.write_text(json.dumps(described))
    return path


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def told(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """Run a job in this process: its exit status and its events."""
    status = trainer.main([str(path)])
    return status, events(capsys.readouterr().out)
