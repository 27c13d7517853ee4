"""How to run it: each snippet is code, for a program that runs it, and works as pasted."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import BertTokenizerFast

from boomerang.architecture.kinds import Kind
from boomerang.architecture.runtimes import Runtime, runtimes
from boomerang.architecture.supported import ARCHITECTURES
from boomerang.card.card import card
from boomerang.card.facts import Facts
from tests.architecture.test_bert import BERT, encoders
from tests.card.facts import MEMBER
from tests.distill.jobs import save_tokenizer
from tests.local_hub.fixture import LocalHub, hub, run_client
from tests.support.models import model

__all__ = ["hub"]

TEMPLATE = "{% for m in messages %}{{ m['content'] }} {% endfor %}"


def blocks(facts: Facts) -> list[tuple[str, str]]:
    """The language and the code of each block of a card."""
    parts = [block.split("\n", 1) for block in card(facts).split("```")[1::2]]
    return [(language, code) for language, code in parts]


@pytest.mark.long("models that are loaded and run by a process that knows only the Hub")
def test_what_is_pasted_runs(hub: LocalHub, tmp_path: Path) -> None:
    """Of conversations and of masked models; that of plain text: tests/local_hub/test_hub.py.

    vLLM, llama.cpp and Ollama are not run: none can be installed here. By hand: docs/hub.md.
    """
    model("llama", 1).save_pretrained(tmp_path / "chat")
    save_tokenizer(tmp_path / "chat", TEMPLATE)
    encoders(tmp_path / "masked")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "in", "the", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path / "masked" / "bert")
    hub.add_repo("me/Chat-5K", tmp_path / "chat")
    hub.add_repo("me/Bert-5K", tmp_path / "masked" / "bert")
    chat = replace(MEMBER, repo_id="me/Chat-5K", chat=True)
    masked = replace(MEMBER, repo_id="me/Bert-5K", masked=True, runtimes=(Runtime.TRANSFORMERS,))
    pasted = [code for facts in (chat, masked) for lang, code in blocks(facts) if lang == "python"]
    (download,) = (line for _, code in blocks(chat) for line in code.splitlines()
                   if line.startswith("hf download"))  # fmt: skip
    assert len(pasted) == 2
    run = "import os, subprocess, sys, tempfile\nos.chdir(tempfile.mkdtemp())\n"
    # The command of this environment, wherever it lies.
    command = download.replace("hf ", "-m huggingface_hub.cli.hf ", 1).split()
    run += f"subprocess.run([sys.executable, *{command!r}], check=True)\n"
    run += "print(sorted(os.listdir('Chat-5K')))\n"
    written = run_client(run + "\n".join(pasted), hub.endpoint)
    assert "'model.safetensors'" in written
    assert len(written.splitlines()) >= 3
    assert BERT["vocab_size"] >= len(words)


@pytest.mark.parametrize("chat", [False, True])
def test_snippets_are_code(chat: bool) -> None:
    found = blocks(replace(MEMBER, chat=chat))
    for language, code in found:
        if language == "python":
            compile(code, "card", "exec")
        else:
            subprocess.run(["bash", "-n"], input=code, text=True, check=True)
        assert "teacher-1.10b" in code.lower()
        assert "{{" not in code
    assert [language for language, _ in found] == ["python", "bash", "bash", "bash"]


def test_only_what_runs_it_is_promised() -> None:
    text = card(replace(MEMBER, runtimes=(Runtime.TRANSFORMERS, Runtime.VLLM)))
    assert "vllm serve" in text
    assert "llama.cpp" not in text
    assert "ollama" not in text


FULL, SLIDING, DENSE = Kind(), Kind("sliding_attention"), Kind(experts=True)
ALL = tuple(Runtime)


@pytest.mark.parametrize(
    ("model_type", "kinds", "tied", "found"),
    [
        ("llama", [FULL, FULL], False, ALL),
        ("qwen3", [FULL, FULL], True, ALL),
        ("qwen3", [FULL, SLIDING], True, ALL[:1]),
        ("gemma", [FULL], True, ALL),
        ("gemma", [FULL], False, ALL[:1]),
        ("gemma3_text", [SLIDING, FULL], True, ALL[:2]),
        ("smollm3", [FULL, Kind(rope=False)], True, ALL[:2]),
        ("gpt_oss", [SLIDING, FULL], False, ALL[:1]),
        ("qwen3_moe", [DENSE, DENSE], False, ALL),
        ("qwen3_moe", [DENSE, FULL], False, ALL[:2]),
        ("bert", [FULL], True, ALL[:1]),
    ],
)
def test_a_program_is_promised_what_it_reads_rightly(
    model_type: str, kinds: list[Kind], tied: bool, found: tuple[Runtime, ...]
) -> None:
    assert runtimes(model_type, kinds, tied=tied) == found


def test_lists_of_programs_name_what_there_is() -> None:
    from boomerang.architecture.runtimes import LLAMA_CPP, TIES, VLLM

    assert ARCHITECTURES.keys() >= LLAMA_CPP | VLLM
    assert all(types <= LLAMA_CPP | VLLM for types in TIES.values())
