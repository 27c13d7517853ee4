"""Which conversations are asked, how they read, and what ends a turn in them."""

import json
from pathlib import Path

from boomerang.texts.texts import SPLITS, Texts
from boomerang.tokens.chats import chats
from boomerang.tokens.packing import Tokeniser
from tests.distill.jobs import save_tokenizer
from tests.support.models import VOCABULARY

CHAT = (
    "{% for m in messages %}{% if m.role == 'system' and loop.length == 1 %}"
    "{{ raise_exception('Nobody asks') }}{% endif %}"
    "{{ 'w1' if m.role == 'assistant' else 'w0' }} {{ m.content }} <s> {% endfor %}"
    "{% if add_generation_prompt %}w1{% endif %}"
)
"""Its turns end with a token that is not the end of text."""
START, END, USER, ASSISTANT = 1, 2, 3, 4


def talk(*said: str, first: str = "user") -> dict[str, object]:
    roles = [first, *(("assistant", "user") * 3)]
    pairs = zip(roles, said, strict=False)
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


def of(folder: Path, *records: object) -> Texts:
    for split in SPLITS:
        rows = "\n".join(json.dumps(record) for record in records)
        (folder / f"{split}.jsonl").write_text(rows)
    return Texts.open(folder)


def tokeniser(folder: Path, template: str = CHAT, begin: str | None = None) -> Tokeniser:
    save_tokenizer(folder / "teacher", template, begin)
    return Tokeniser(folder / "teacher", VOCABULARY)


def test_a_prompt_is_all_up_to_the_first_answer_and_asks_for_it(tmp_path: Path) -> None:
    texts = of(tmp_path, talk("w5 w6", "w7", "w8", "w9"))
    found = chats(tokeniser(tmp_path), texts, "heldout", 8, 32, 8)
    assert found is not None
    assert found.prompts == ((USER, 8, 9, START, ASSISTANT),)
    assert found.ends == {START, END}


def test_short_ones_with_short_answers_go_first(tmp_path: Path) -> None:
    texts = of(
        tmp_path, talk("w2", "w7 " * 9), talk("w3 " * 30, "w7"), talk("w4", "w7"),
        talk("w5", first="assistant"), talk("w6", "w8", first="system"), talk("w7", "w8"),
        talk("w8", "w8"),
    )  # fmt: skip
    ours = tokeniser(tmp_path)
    found = chats(ours, texts, "heldout", 3, 16, 8)
    assert found is not None
    # The second has too long a prompt, the template refuses to ask after a system's turn alone.
    assert [prompt[1] for prompt in found.prompts] == [7, 10, 11]
    more = chats(ours, texts, "heldout", 9, 16, 8)
    assert more is not None
    assert [prompt[1] for prompt in more.prompts] == [7, 10, 11, 5]


def test_what_begins_a_text_is_there_once(tmp_path: Path) -> None:
    texts = of(tmp_path, talk("w5", "w7"))
    for template in (CHAT, "{{ bos_token }} " + CHAT):
        found = chats(tokeniser(tmp_path, template, "<s>"), texts, "heldout", 8, 32, 8)
        assert found is not None
        assert found.prompts == ((START, USER, 8, START, ASSISTANT),)


def test_plain_text_has_none(tmp_path: Path) -> None:
    texts = of(tmp_path, {"text": "w5 w6"}, {"text": "w7"})
    assert chats(tokeniser(tmp_path), texts, "heldout", 8, 32, 8) is None
    long = of(tmp_path, talk("w5 " * 40, "w7"))
    assert chats(tokeniser(tmp_path), long, "heldout", 8, 32, 8) is None
