"""What is said of a licence, of a student by itself, and of what nobody measured."""

import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from boomerang.card.card import card
from boomerang.card.facts import HUB, Inherited, inherited
from boomerang.card.student import student_card
from boomerang.hub.about import About
from tests.card.facts import BARE, BY_ITSELF, MEMBER, SIZES, STUDENT, TASKS

MEASURED = replace(
    MEMBER,
    size=replace(SIZES[1], errors={"perplexity": 0.12}, windows=256, window=256),
    tasks=TASKS,
)
CARDS = {
    "member": card(MEASURED),
    "pictures": card(replace(MEASURED, pictures=True)),
    "student": card(STUDENT),
    "masked": card(replace(MEMBER, size=SIZES[2], tasks=(), masked=True)),
    "healed": card(replace(MEMBER, healed="1.00B")),
    "bare": card(BARE),
    "by itself": student_card(BY_ITSELF),
}


@pytest.mark.parametrize("name", CARDS)
def test_the_client_reads_back_what_was_written(name: str) -> None:
    data = ModelCard(CARDS[name]).data
    assert isinstance(data, ModelCardData)
    front = yaml.safe_load(CARDS[name].split("---\n")[1])
    # By the client's own types and back: nothing is lost or changed.
    again = yaml.safe_load(data.to_yaml())
    assert {k: v for k, v in again.items() if k != "model-index"} == {
        k: v for k, v in front.items() if k != "model-index"
    }
    if "model-index" in front:
        title, results = model_index_to_eval_results(front["model-index"])
        assert title == MEASURED.title or title == STUDENT.title
        made = eval_results_to_model_index(title, results)
        assert model_index_to_eval_results(made) == (title, results)
        assert all(one.metric_value is not None for one in results)


@pytest.mark.parametrize("name", CARDS)
def test_links_lead_to_the_hub_the_paper_and_the_harness_alone(name: str) -> None:
    text = re.sub(r"```.*?```", "", CARDS[name], flags=re.S)
    hosts = set(re.findall(r"https?://([^/)\s]+)", text))
    assert hosts <= {"huggingface.co", "arxiv.org", "github.com"}
    assert "None" not in text


TERMS = "https://example.com/terms"


@pytest.mark.parametrize(
    ("about", "files", "link"),
    [
        (About("other", "t", "LICENSE"), ["LICENSE"], "LICENSE"),
        (About("other", "t", "TERMS.pdf"), [], f"{HUB}/o/t/blob/{'a' * 40}/TERMS.pdf"),
        (About("other", "t", TERMS), ["LICENSE"], TERMS),
        (About("other", "t"), ["LICENSE.md"], "LICENSE.md"),
        (About("apache-2.0"), ["LICENSE"], None),
    ],
)  # fmt: skip
def test_a_licence_leads_to_its_text(about: About, files: list[str], link: str | None) -> None:
    found = inherited(about, "o/t", "a" * 40, files)
    assert (found.license_link, found.license_name) == (link, about.license_name)
    text = card(replace(MEMBER, inherited=found))
    assert ("" if not files else f"]({files[0]}), applies here too") in text
    assert "The teacher's licence, " in text
    assert "](https://example.com" not in text


def test_a_link_within_a_folder_that_stays_behind_is_left_out() -> None:
    assert inherited(About("other", "t", "TERMS"), "local", "a" * 40, []).license_link is None


def test_a_student_by_itself_says_what_it_is_and_how_sizes_are_made() -> None:
    text = CARDS["by itself"]
    data = ModelCard(text).data
    assert (data.base_model, data.base_model_relation) == (["org/Teacher"], "finetune")
    assert (data.license, data.language, data.datasets) == ("other", ["en", "no"], ["org/corpus"])
    assert "5 of its 8 layers" in text
    assert f"key `{'c' * 32}`" in text
    assert "| 2 | 4 | 4–5 |" in text
    assert "boomerang assemble org/Teacher me/boomerang-student-cc \\\n  --size 1.10B" in text
    assert "reported a loss of 2.5, cross-entropy 3.25 and KL 0.5" in text
    local = student_card(replace(BY_ITSELF, teacher="Teacher"))
    assert "boomerang assemble ./Teacher " in local
    assert "base_model" not in local


def unmeasured(text: str) -> str:
    return text.split("## What was not measured")[1].split("\n## ")[0]


def test_what_was_not_measured_is_said_and_nothing_else() -> None:
    bare = unmeasured(card(BARE))
    assert "**Quality**: this size was not measured on any text." in bare
    assert "**Tasks**: none was run" in bare
    assert "**Safety**" in bare
    assert "Languages" not in bare
    assert "Conversations" not in bare
    member = unmeasured(card(MEMBER))
    assert "**Quality**" not in member
    assert "names en and no; what this size keeps of each was not measured apart" in member
    measured = unmeasured(CARDS["member"])
    assert "**Tasks** other than arc_easy and gsm8k." in measured
    assert "windows of 256 tokens, and its config allows 4,096" in measured
    asked = replace(TASKS[0], task="truthfulqa_mc2")
    assert "**Safety**" not in unmeasured(card(replace(MEMBER, tasks=(asked,))))
    failed = unmeasured(card(replace(MEMBER, failed=("mmlu",))))
    assert "**Tasks that ended without a figure**: mmlu." in failed
    assert "no conversation was tried" in unmeasured(card(replace(MEMBER, chat=True)))
    assert "not measured" in unmeasured(CARDS["masked"])


def test_the_teacher_s_own_size_is_called_that() -> None:
    from boomerang.family.composition import Composition

    whole = Composition.of(MEMBER.composition.layermap, "bbbbb")
    text = card(replace(MEMBER, composition=whole, inherited=Inherited()))
    assert "its teacher itself, all 8 layers of it, unchanged" in text
    assert ModelCard(text).data.base_model == ["org/Teacher"]
    assert "base_model_relation" not in text
