"""Conversations as data: where they are read from, what is none, and how one reads."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from boomerang.errors import BadRecipe
from boomerang.recipes.recipe import Recipe
from boomerang.texts.conversations import Conversation
from boomerang.texts.datasets import Dataset
from boomerang.texts.texts import SPLITS, Texts
from boomerang.tokens.loss_mask import WITHIN
from boomerang.tokens.packing import Tokeniser
from tests.distill.jobs import TEMPLATE, save_conversations, save_texts, save_tokenizer
from tests.local_hub.fixture import LocalHub, hub
from tests.support.models import VOCABULARY

__all__ = ["hub"]

ASKED, SAID = {"role": "user", "content": "w5 w6"}, {"role": "assistant", "content": "w7"}
TALK = {"messages": [ASKED, SAID]}
END, USER, ASSISTANT = 2, 3, 4


def lines(path: Path, *records: object) -> Path:
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def train(path: Path) -> list[Any]:
    return [d for split in SPLITS for d in Texts.open(path).documents(split)]


@pytest.mark.parametrize(
    "record",
    [
        TALK,
        {"prompt": "w5 w6", "completion": "w7"},
        {"prompt": [ASKED], "completion": [SAID]},
        {"id": 1, "text": None, "messages": [ASKED, SAID]},
    ],
)
def test_a_conversation_is_read_in_either_shape_from_lines_and_tables(
    record: dict[str, Any], tmp_path: Path
) -> None:
    lines(tmp_path / "all.jsonl", record)
    table(tmp_path / "all.parquet", [{**{k: v for k, v in record.items() if v is not None}}])
    for name, where in (("all.jsonl", "Line 1 of all.jsonl"), ("all.parquet", "Row 1 of")):
        (found,) = train(tmp_path / name)
        assert [*found.messages] == [ASKED, SAID]
        assert found.where.startswith(where)


def test_a_column_of_another_name_is_found_where_it_is_named(hub: LocalHub, tmp_path: Path) -> None:
    rows = [{"id": i, "talk": [ASKED, {**SAID, "content": f"w{i}"}]} for i in range(40)]
    table(tmp_path / "files/train-0.parquet", rows)
    hub.add_repo("datasets/some/talks", tmp_path / "files")
    texts = Texts.of_dataset(Dataset("some/talks", None, "talk"), hub.endpoint)
    found = [d for split in SPLITS for d in texts.documents(split, "instructions")]
    assert sorted(d.messages[1]["content"] for d in found) == sorted(f"w{i}" for i in range(40))
    assert not list(texts.documents("train", "text"))
    assert (texts.lacks("text"), texts.lacks("instructions")) == (True, False)
    unnamed = Texts.of_dataset(Dataset("some/talks"), hub.endpoint)
    with pytest.raises(BadRecipe, match="no column of text 'text', and none of conversations"):
        list(unnamed.documents("train"))


def test_a_text_in_a_record_stays_a_text(tmp_path: Path) -> None:
    lines(tmp_path / "all.jsonl", {"text": "plain", **TALK})
    table(tmp_path / "all.parquet", [{"text": "plain", **TALK}])
    assert train(tmp_path / "all.jsonl") == train(tmp_path / "all.parquet") == ["plain"]


def test_kinds_are_told_apart_file_by_file(tmp_path: Path) -> None:
    folder = save_conversations(save_texts(tmp_path / "texts", documents=3), documents=2)
    with gzip.open(folder / "train" / "more.txt.gz", "wt") as file:
        file.write("a book")
    texts = Texts.open(folder)
    assert len(list(texts.documents("train"))) == 6
    assert len(list(texts.documents("train", "text"))) == 4
    talks = list(texts.documents("train", "instructions"))
    assert len(talks) == 2
    assert all(isinstance(talk, Conversation) for talk in talks)
    assert not texts.lacks("text")
    assert not texts.lacks("instructions")


def test_conversations_are_dealt_as_texts_are(tmp_path: Path) -> None:
    talks = [{"prompt": f"w{i}", "completion": "w7"} for i in range(400)]
    lines(tmp_path / "chat.jsonl", *talks)
    (tmp_path / "book.txt").write_text("a book")
    texts = Texts.open(tmp_path)
    found = {s: len(list(texts.documents(s, "instructions"))) for s in SPLITS}
    assert sum(found.values()) == 400
    assert 330 < found["train"] < 390
    assert sum(len(list(texts.documents(s, "text"))) for s in SPLITS) == 1


def test_text_and_conversations_may_lie_in_two_places(tmp_path: Path) -> None:
    save_texts(tmp_path / "texts", documents=3)
    talks = lines(
        tmp_path / "chat.jsonl", *({"prompt": f"w{i}", "completion": "w7"} for i in range(99))
    )
    one, other = Texts.open(tmp_path / "texts"), Texts.open(talks)
    both = Texts.joined([one, other])
    assert both.name == "texts and chat.jsonl"
    again = Texts.open(both.location)
    assert (again.digest, len({t.digest for t in (one, other, both)})) == (both.digest, 3)
    assert not again.lacks("text")
    assert not again.lacks("instructions")
    assert list(again.documents("train", "text")) == list(one.documents("train"))
    found = list(again.documents("train"))
    assert [isinstance(d, str) for d in found[:7]] == [True, False] * 3 + [False]
    assert len(found) == 3 + len(list(other.documents("train")))
    assert Texts.joined([one]) is one


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"messages": []}, "'messages' is no list of messages"),
        ({"messages": ["hello"]}, "message 1 of 'messages' is no object"),
        ({"messages": [ASKED, {"role": "assistant"}]}, "message 2 of 'messages' has no content"),
        ({"messages": [{"content": "a"}]}, "message 1 of 'messages' has no role"),
        ({"messages": [ASKED]}, "no message in it is the assistant's"),
        ({"messages": "hello"}, "'messages' is no list"),
        ({"prompt": 3, "completion": "a"}, "'prompt' is no list"),
        ({"prompt": "a"}, 'is not {"text": "…"}, nor a conversation'),
        ({"text": [ASKED, 3]}, "message 2 of 'text' is no object"),
    ],
)
def test_a_record_that_is_no_conversation_is_named(
    record: dict[str, Any], why: str, tmp_path: Path
) -> None:
    lines(tmp_path / "all.jsonl", *[{"prompt": "a", "completion": "b"}] * 2, record)
    with pytest.raises(BadRecipe, match=r"Line 3 of all\.jsonl") as raised:
        train(tmp_path / "all.jsonl")
    assert why in raised.value.detail
    assert "completion" in raised.value.fix


def test_a_file_is_of_one_kind(tmp_path: Path) -> None:
    lines(tmp_path / "all.jsonl", {"text": "a"}, TALK)
    with pytest.raises(BadRecipe, match=r"Line 2 of all\.jsonl holds instructions") as raised:
        train(tmp_path / "all.jsonl")
    assert "files of their own" in raised.value.fix


def test_what_a_recipe_with_phases_lacks_is_said(tmp_path: Path) -> None:
    instruct = Recipe.load("instruct")
    lines(tmp_path / "text.jsonl", {"text": "a"})
    lines(tmp_path / "chat.jsonl", TALK)
    with pytest.raises(BadRecipe, match=r"'text\.jsonl' has no instructions to train on") as raised:
        instruct.refuse_without(Texts.open(tmp_path / "text.jsonl").lacks, "text.jsonl")
    assert "messages" in raised.value.fix
    with pytest.raises(BadRecipe, match=r"'chat\.jsonl' has no plain text to train on"):
        instruct.refuse_without(Texts.open(tmp_path / "chat.jsonl").lacks, "chat.jsonl")
    instruct.refuse_without(Texts.open(tmp_path).lacks, tmp_path.name)
    Recipe.load("default").refuse_without(Texts.open(tmp_path / "text.jsonl").lacks, "")


def tokeniser(folder: Path, template: str | None = TEMPLATE) -> Tokeniser:
    save_tokenizer(folder / "teacher", template)
    return Tokeniser(folder / "teacher", VOCABULARY)


def of(folder: Path, *records: object) -> Texts:
    for split in SPLITS:
        lines(folder / f"{split}.jsonl", *records)
    return Texts.open(folder)


def test_a_conversation_reads_as_the_teachers_template_says(tmp_path: Path) -> None:
    texts = of(tmp_path, TALK, {"prompt": "w9", "completion": "w8"})
    tokens = tokeniser(tmp_path).encode(texts, "train").tolist()
    first = [END, USER, 8, 9, END, ASSISTANT, 10, END]
    assert tokens == [*first, END, USER, 12, END, ASSISTANT, 11, END]


def test_turns_begin_no_document_and_only_answers_count_where_they_are_asked_for(
    tmp_path: Path,
) -> None:
    texts, ours = of(tmp_path, TALK), tokeniser(tmp_path)
    everything = ours.encode(texts, "train", loss_on="all").tolist()
    assert everything == [END, USER, 8, 9, WITHIN, ASSISTANT, 10, WITHIN]
    answers = ours.encode(texts, "train", loss_on="completions").tolist()
    assert answers == [~END, ~USER, ~8, ~9, ~WITHIN, ~ASSISTANT, 10, WITHIN]
    plain = of(tmp_path, {"text": "w5 w6"})
    for loss_on in ("all", "completions", None):
        assert ours.encode(plain, "train", loss_on=loss_on).tolist() == [END, 8, 9]


THINKS = (
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' and loop.last and "
    "'</think>' not in m.content %}<think></think>{% endif %}"
    "{% if loop.last %}{{ m.content }}{% else %}{{ m.content.split('</think>')[-1] | trim }}"
    "{% endif %}<end>{% endfor %}"
)
"""As those of models that think: what was thought is not told again, and the last turn differs."""


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (["q", "a"], ["a"]),
        (["q", " a b ", "q", "a b"], ["a b", "a b"]),
        (["q", "<think>hm</think> a", "a", "<think>so</think>a"], ["a", "<think>so</think>a"]),
        (["same", "same", "same", "same"], ["same", "same"]),
    ],
)
def test_answers_are_found_whatever_the_template(
    said: list[str], answers: list[str], tmp_path: Path
) -> None:
    chat = tokeniser(tmp_path, THINKS).chat
    roles = ["user", "assistant"] * 2
    messages = tuple({"role": r, "content": c} for r, c in zip(roles, said, strict=False))
    talk = Conversation(messages, "here")
    rendered = chat.render(talk)
    found = chat.answers(talk, rendered)
    assert [rendered[a:b] for a, b in found] == answers
    assert all(rendered[:a].count("assistant:") == at for at, (a, _) in enumerate(found, 1))


def test_a_template_that_asks_for_the_date_gives_the_same_text_on_any_day(tmp_path: Path) -> None:
    dated = "{{ strftime_now('%d %b %Y, %Y-%m-%d') }}"
    dated += "{% for m in messages %} {{ m.content }}{% endfor %}"
    chat = tokeniser(tmp_path, dated).chat
    assert chat.render(Conversation((ASKED, SAID), "here")) == "26 Jul 2024, 2024-07-26 w5 w6 w7"


def test_without_a_template_or_with_one_that_refuses_the_record_is_named(tmp_path: Path) -> None:
    texts = of(tmp_path, TALK)
    with pytest.raises(BadRecipe, match=r"Line 1 of train\.jsonl.*no chat template") as raised:
        tokeniser(tmp_path, None).encode(texts, "train")
    assert "chat_template.jinja" in raised.value.fix
    odd = of(tmp_path, TALK, {"messages": [ASKED, SAID, {"role": "tool", "content": "w1"}]})
    with pytest.raises(BadRecipe, match=r"Line 2 of train\.jsonl does not fit.*No tools here"):
        tokeniser(tmp_path).encode(odd, "train")
