"""The model card: what the Hub's own parser reads from it, and what it tells people."""

import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

from boomerang.card.card import card
from boomerang.card.metadata import metadata
from boomerang.card.student import student_card
from tests.card.facts import BARE, BY_ITSELF, MEMBER, SIZES, STUDENT, TASKS
from tests.local_hub.fixture import LocalHub, hub, run_client

__all__ = ["hub"]


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
    text = card(BARE)
    assert set(metadata(BARE)) == {"library_name", "pipeline_tag", "tags"}
    assert ModelCard(text).data.eval_results is None
    assert "None" not in text
    assert "## The family" not in text
    assert "huggingface.co/local" not in text
    no_measures = card(replace(MEMBER, sizes=tuple(replace(SIZES[2], name=n) for n in "ab")))
    assert "perplexity" not in no_measures.split("## The family")[1].split("## Which")[0]


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
    assert "| **1.10B** | 1,100,000,000 | 6 | 18.25 | 0.25 | 50 % | 88 |" in text
    assert "| tokens whose most likely one is the teacher's too | 50 % |" in text
    assert "| its drafts that the teacher accepts | 75 % |" in text
    assert "| the student's drafts that it accepts | 62.5 % |" in text
    assert "its end: 20.5, –." in text
    assert "Drafts" not in card(MEMBER)


def test_the_text_says_whether_a_size_ends_its_turns() -> None:
    text = card(replace(MEMBER, size=replace(SIZES[1], stopped=0.875)))
    assert "| turns of a conversation that it ends in time | 87.5 % |" in text
    assert "turns of a conversation" not in card(MEMBER)


def test_figures_have_their_errors_in_text_and_metadata() -> None:
    errors = {"perplexity": 0.124, "kl": 0.0063, "naive_perplexity": 1.5}
    size = replace(SIZES[1], errors=errors, windows=256, window=256)
    facts = replace(MEMBER, size=size, sizes=(SIZES[0], size), tasks=TASKS)
    text = card(facts)
    assert "| perplexity | 18.25\xa0±\xa00.12 |" in text
    row = ("**1.10B**", "1,100,000,000", "6", "18.25 ± 0.12", "0.2500 ± 0.0063", "88.0 ± 1.5")
    assert f"| {' | '.join(row)} |" in text.replace("\xa0", " ")
    assert "256 windows of 256 tokens, and ± is the standard error over these windows" in text
    assert "| arc_easy | acc | 0.512\xa0±\xa00.013 | 0 | 400 of more |" in text
    assert "| gsm8k | exact_match (strict-match) | 0.250\xa0±\xa00.010 | 5 | 1,319 |" in text
    found = {one.metric_type: one for one in ModelCard(text).data.eval_results}
    over = {"windows": 256, "tokens_a_window": 256}
    assert found["perplexity"].metric_args == {"stderr": 0.124, **over}
    assert found["exact_match"].metric_args == {"stderr": 0.01}
    assert "±" not in card(MEMBER)


def test_the_text_shows_the_family_and_the_recipe() -> None:
    text = card(MEMBER)
    assert "| **1.10B** | 1,100,000,000 | 6 | 18.25 | 0.25 | 88 |" in text
    assert "[1.00B](https://huggingface.co/family/Teacher-1.00B)" in text
    assert "| 1.30B | 1,300,000,000 | 8 |  |  |  |" in text
    assert "| learning_rate | 0.0003 |" in text
    assert "| note | a\\|b c |" in text
    assert "| phases | until 0.5, instruction_share 0; until 1, share 1 |" in text
    assert (
        "trained on [org/corpus](https://huggingface.co/datasets/org/corpus) for 2,000 steps of "
        "4,096 tokens in sequences of 256, at a learning rate of 0.0003. The loss is 0.1 · "
        "cross-entropy + 1 · KL(teacher ‖ student). At its end, after 8.19M tokens, training "
        "reported a loss of 2.5, cross-entropy 3.25 and KL 0.5." in text
    )


def test_the_same_facts_give_the_same_bytes() -> None:
    code = (
        "from boomerang.card.card import card\nfrom tests.card.facts import MEMBER\n"
        "print(card(MEMBER), end='')"
    )
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        )
        assert done.stdout.decode() == card(MEMBER)


@pytest.mark.slow("the real client in a process of its own")
def test_the_hub_accepts_it(hub: LocalHub) -> None:
    cards = [card(facts) for facts in (replace(MEMBER, tasks=TASKS), STUDENT, BARE)]
    cards.append(student_card(BY_ITSELF))
    code = (
        f"from huggingface_hub import ModelCard\nfor text in {cards!r}: ModelCard(text).validate()"
    )
    run_client(code, hub.endpoint)
    assert hub.lines() == ["POST /api/validate-yaml"] * len(cards)
    for facts, text in zip((MEMBER, STUDENT, BARE), cards, strict=False):
        front = yaml.safe_load(text.split("---\n")[1])
        known = metadata(replace(facts, tasks=TASKS) if facts is MEMBER else facts)
        assert front == known


def test_a_size_that_did_not_pass_says_so_at_once() -> None:
    flagged = replace(SIZES[1], flags=("A dip: its KL is 0.25, below it 0.2.",))
    text = card(replace(MEMBER, size=flagged))
    assert "> **This size did not pass its checks.** A dip: its KL is 0.25" in text
    assert text.index("did not pass") < text.index("## Which layers")
    assert "did not pass" not in card(MEMBER)
