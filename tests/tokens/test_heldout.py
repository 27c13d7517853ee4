"""The windows that are measured on are those of the whole text, of which no more is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from boomerang.quality.__main__ import main
from boomerang.quality.choosing import similarity
from boomerang.quality.choosing.similarity import similarity_map
from boomerang.recipes.recipe import Recipe
from boomerang.texts.conversations import Document
from boomerang.texts.texts import Split, Texts
from boomerang.tokens import packing as data
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream, first_windows
from tests.distill.jobs import RECIPE, save_teacher, save_texts, save_tokenizer
from tests.support.models import VOCABULARY, duo

SPLITS: tuple[Split, ...] = ("calibration", "heldout")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many documents of each split were asked for, two of which are tokenised together."""
    monkeypatch.setattr(data, "_AT_ONCE", 2)
    found: dict[str, int] = dict.fromkeys(("train", *SPLITS), 0)
    documents = Texts.documents

    def counting(texts: Texts, split: Split, *how: Any) -> Any:
        def counted() -> Any:
            document: Document
            for document in documents(texts, split, *how):
                found[split] += 1
                yield document

        return counted()

    monkeypatch.setattr(Texts, "documents", counting)
    return found


# Documents are of 20 words, and one or two tokens of the tokenizer's own.
@pytest.mark.parametrize(
    ("tokens", "length", "documents"),
    [(63, 63, 4), (62, 31, 4), (64, 16, 4), (1, 20, 2), (300, 16, 14), (10**6, 16, 40)],
)
@pytest.mark.parametrize("begin", [None, "<s>"])
def test_the_first_windows_are_those_of_the_whole_text(
    begin: str | None,
    tokens: int,
    length: int,
    documents: int,
    tmp_path: Path,
    read: dict[str, int],
) -> None:
    save_tokenizer(tmp_path, begin=begin)
    tokeniser, texts = Tokeniser(tmp_path, VOCABULARY), Texts.open(save_texts(tmp_path / "t"))
    found = first_windows(tokeniser, texts, "heldout", tokens, length)
    assert read["heldout"] == documents
    whole = Stream(tokeniser.encode(texts, "heldout"), length, begins=tokeniser.begins)
    assert found.tolist() == whole.head(tokens).tolist()


def test_measuring_reads_no_more_text_than_it_measures_on(
    tmp_path: Path, read: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    made = duo(tmp_path, "gpt2")
    save_tokenizer(made.teacher_folder)
    job = {
        "teacher": str(made.teacher_folder), "student": str(made.student_folder),
        "data": str(save_texts(tmp_path / "texts")), "order": "last", "naive": False,
        "sequence_length": 16, "calibration_tokens": 32, "heldout_tokens": 128,
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert main([str(tmp_path / "job.json")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-2])["of"] == 128
    assert read == {"train": 0, "calibration": 2, "heldout": 8}


def test_a_map_by_similarity_reads_no_more_text_than_it_is_chosen_on(
    tmp_path: Path, read: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "TOKENS", 64)
    teacher, texts = save_teacher(tmp_path / "teacher"), save_texts(tmp_path / "texts")
    similarity_map(teacher, Texts.open(texts), Recipe.parse(RECIPE))
    assert read == {"train": 0, "calibration": 4, "heldout": 0}
