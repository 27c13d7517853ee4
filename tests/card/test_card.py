"""The model card: what the Hub's own parser reads from it, and what it tells people."""

import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

from boomerang.card.card import card
from boomerang.card.facts import Facts, Size
from boomerang.card.metadata import metadata
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from tests.local_hub.fixture import LocalHub, hub, run_client

__all__ = ["hub"]

MAP = LayerMap((0, 2, 4, 6, 7), 8)
SIZES = (
    Size("1.00B", 1_000_000_000, 5, 20.5, 0.5, 99.0, 2.0, "family/Teacher-1.00B"),
    Size("1.10B", 1_100_000_000, 6, 18.25, 0.25, 88.0, 1.5),
    Size("1.30B", 1_300_000_000, 8),
)
MEMBER = Facts(
    repo_id="family/Teacher-1.10B",
    size=SIZES[1],
    composition=Composition.of(MAP, "sssbb"),
    teacher="org/Teacher",
    teacher_commit="a" * 40,
    order="last",
    student="family/Teacher-1.00B",
    license="other",
    license_name="teacher-terms: 'x'",
    license_link="LICENSE",
    language=("en", "no"),
    datasets=("org/corpus",),
    sizes=SIZES,
    recipe={
        "learning rate": 3e-4,
        "steps": 2000,
        "note": "a|b\nc",
        "phases": [{"until": 0.5, "instruction_share": 0.0}, {"until": 1.0, "share": 1.0}],
    },
    text="the held-out part of the corpus",
)
STUDENT = replace(
    MEMBER, repo_id="family/Teacher-1.00B", size=SIZES[0], composition=Composition.of(MAP, "sssss")
)


def test_what_was_healed_says_what_it_was() -> None:
    healed = card(replace(STUDENT, healed="1.00B"))
    assert "Healed from 1.00B, a size of the family of [org/Teacher]" in healed
    larger = card(replace(MEMBER, healed="1.00B", student=None))
    assert "and a student healed from 1.00B, made by boomerang distillation" in larger


def test_a_member_is_a_merge_of_teacher_and_student() -> None:
    data = ModelCard(card(MEMBER)).data
    assert data.to_dict()["library_name"] == "transformers"
    assert data.pipeline_tag == "text-generation"
    assert (data.license, data.license_name, data.license_link) == (
        "other",
        "teacher-terms: 'x'",
        "LICENSE",
    )
    assert data.language == ["en", "no"]
    assert data.datasets == ["org/corpus"]
    assert data.base_model == ["org/Teacher", "family/Teacher-1.00B"]
    assert data.base_model_relation == "merge"
    assert {"boomerang", "arxiv:2510.05064"} <= set(data.tags)
    results = {result.metric_type: result for result in data.eval_results}
    assert results["perplexity"].metric_value == 18.25
    assert results["kl_divergence"].metric_value == 0.25
    assert results["perplexity"].dataset_type == "org/corpus"
    assert results["perplexity"].task_type == "text-generation"


def test_a_student_is_a_finetune_of_its_teacher() -> None:
    data = ModelCard(card(STUDENT)).data
    assert data.base_model == ["org/Teacher"]
    assert data.base_model_relation == "finetune"


def test_what_is_not_known_is_left_out() -> None:
    bare = Facts("me/Model-1.30B", SIZES[2], Composition.of(MAP, "bbbbb"), "local", "c", "first")
    text = card(bare)
    assert set(metadata(bare)) == {"library_name", "pipeline_tag", "tags"}
    assert ModelCard(text).data.eval_results is None
    assert "None" not in text
    assert "## The family" not in text
    assert "huggingface.co/local" not in text
    no_measures = card(replace(MEMBER, sizes=tuple(replace(SIZES[2], name=n) for n in "ab")))
    assert "perplexity" not in no_measures.split("## The family")[1].split("## How")[0]


def test_the_text_says_where_layers_come_from() -> None:
    text = card(MEMBER)
    # sssbb over blocks 0-1, 2-3, 4-5, 6, 7: three student layers, then the teacher's 6 and 7.
    assert "| 0–2 | student | 0–2 |" in text
    assert "| 3–4 | teacher | 6–7 |" in text
    assert "| embeddings | student |" in text
    assert "| head | teacher |" in text
    assert "□□□■■" in text
    assert "from the last block to the first" in text
    assert "1,100,000,000 stored parameters" in text
    assert "https://arxiv.org/abs/2510.05064" in text


def test_the_text_says_how_like_its_teacher_a_size_is() -> None:
    size = replace(
        SIZES[1], agreement=0.5, acceptance=0.75, drafted=0.625, by_position=(20.5, None)
    )
    text = card(replace(MEMBER, size=size, sizes=(SIZES[0], size)))
    assert (
        "| **1.10B** | 1,100,000,000 | 6 | 18.25 | 0.25 | 88 | 1.5 | 0.5 | 0.625 | 0.75 |" in text
    )
    assert "the most likely token is the teacher's" in text
    assert "its end: 20.5, –." in text
    assert "Agreement" not in card(MEMBER)


def test_the_text_says_whether_a_size_ends_its_turns() -> None:
    size = replace(SIZES[1], stopped=0.875)
    text = card(replace(MEMBER, size=size, sizes=(SIZES[0], size)))
    assert "| naive pruning, KL | ends its turns |" in text
    assert "| 88 | 1.5 | 0.875 |" in text
    assert "Ends its turns: in conversations" in text
    assert "Ends its turns" not in card(MEMBER)


def test_the_text_shows_the_family_and_the_recipe() -> None:
    text = card(MEMBER)
    assert "| **1.10B** | 1,100,000,000 | 6 | 18.25 | 0.25 | 88 | 1.5 |" in text
    assert "[1.00B](https://huggingface.co/family/Teacher-1.00B)" in text
    assert "| 1.30B | 1,300,000,000 | 8 |  |  |  |  |" in text
    assert "| learning rate | 0.0003 |" in text
    assert "| note | a\\|b c |" in text
    assert "| phases | until 0.5, instruction_share 0; until 1, share 1 |" in text


@pytest.mark.parametrize("name", ["Transformers", "vLLM", "llama.cpp", "Ollama"])
def test_snippets_name_the_repository(name: str) -> None:
    block = card(MEMBER).split(f"\n{name}")[1].split("```")[1]
    assert "teacher-1.10b" in block.lower()
    assert "{" not in block


def test_snippets_are_code() -> None:
    blocks = card(MEMBER).split("```")[1::2]
    for block in blocks:
        language, code = block.split("\n", 1)
        if language == "python":
            compile(code, "card", "exec")
        else:
            subprocess.run(["bash", "-n"], input=code, text=True, check=True)
    assert len(blocks) == 4


def test_the_same_facts_give_the_same_bytes() -> None:
    code = "import sys\nfrom tests.card.test_card import MEMBER, card\nprint(card(MEMBER), end='')"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ".", "HF_HUB_OFFLINE": "1"},
        )
        assert done.stdout.decode() == card(MEMBER)


@pytest.mark.parametrize("facts", [MEMBER, STUDENT], ids=["member", "student"])
def test_the_hub_accepts_it(hub: LocalHub, facts: Facts) -> None:
    code = f"from huggingface_hub import ModelCard; ModelCard({card(facts)!r}).validate()"
    run_client(code, hub.endpoint)
    assert hub.lines() == ["POST /api/validate-yaml"]
    front = card(facts).split("---\n")[1]
    assert yaml.safe_load(front) == metadata(facts)


def test_a_size_that_did_not_pass_says_so_at_once() -> None:
    flagged = replace(SIZES[1], flags=("A dip: its KL is 0.25, below it 0.2.",))
    text = card(replace(MEMBER, size=flagged))
    assert "> **This size did not pass its checks.** A dip: its KL is 0.25" in text
    assert text.index("did not pass") < text.index("## Which layers")
    assert "did not pass" not in card(MEMBER)
