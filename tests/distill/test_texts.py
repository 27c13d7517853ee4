"""Texts in every form, and what is no text."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from boomerang.distill.texts import SPLITS, Texts
from boomerang.errors import BadRecipe


def rows(*texts: str) -> str:
    return "\n".join(json.dumps({"text": text}) for text in texts)


def test_a_folder_has_its_splits_in_any_packing(tmp_path: Path) -> None:
    with lzma.open(tmp_path / "train.jsonl.xz", "wt") as file:
        file.write(rows("one", " ", "two"))
    with gzip.open(tmp_path / "calibration.txt.gz", "wt") as file:
        file.write("three\n\nthree")
    (tmp_path / "heldout").mkdir()
    (tmp_path / "heldout" / "b.txt").write_text("five")
    (tmp_path / "heldout" / "a.txt").write_text("four")
    texts = Texts.open(tmp_path)
    assert list(texts.documents("train")) == ["one", "two"]
    assert list(texts.documents("calibration")) == ["three\n\nthree"]
    assert list(texts.documents("heldout")) == ["four", "five"]


def test_one_file_is_dealt_and_a_document_stays_where_it_is(tmp_path: Path) -> None:
    documents = [f"document {i}" for i in range(1000)]
    (tmp_path / "all.jsonl").write_text(rows(*documents))
    dealt = {s: set(Texts.open(tmp_path / "all.jsonl").documents(s)) for s in SPLITS}
    assert set().union(*dealt.values()) == set(documents)
    assert sum(map(len, dealt.values())) == 1000
    assert 850 < len(dealt["train"]) < 950
    assert len(dealt["calibration"]) > 20
    (tmp_path / "more.jsonl").write_text(rows("new", *documents))
    more = {s: set(Texts.open(tmp_path / "more.jsonl").documents(s)) for s in SPLITS}
    assert all(dealt[split] <= more[split] for split in SPLITS)


def test_a_single_book_is_cut_into_passages(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {i}. " + "word " * 100 for i in range(300)]
    (tmp_path / "book.txt").write_text("\n\n".join(paragraphs))
    texts = Texts.open(tmp_path / "book.txt")
    found = [d for split in SPLITS for d in texts.documents(split)]
    assert all(list(texts.documents(split)) for split in SPLITS)
    assert sum(d.count("Paragraph") for d in found) == 300


def test_the_digest_follows_the_text_and_nothing_else(tmp_path: Path) -> None:
    digests = set()
    for folder, last in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        for split in SPLITS:
            (tmp_path / folder / f"{split}.jsonl").write_text(rows("t", last))
        digests.add(Texts.open(tmp_path / folder).digest)
    assert len(digests) == 2
    assert all(len(digest) == 32 for digest in digests)


@pytest.mark.parametrize("broken", ['{"text": 3}', '{"tekst": "a"}', "[]", "not json"])
def test_a_line_that_is_no_document_is_named(broken: str, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text(rows("fine") + "\n" + broken)
    with pytest.raises(BadRecipe, match=r"Line 2 of all\.jsonl"):
        list(Texts.open(tmp_path / "all.jsonl").documents("train"))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="no such"):
        Texts.open(tmp_path / "nothing")
    (tmp_path / "train.jsonl").write_text(rows("a"))
    with pytest.raises(BadRecipe, match="no calibration and no heldout"):
        Texts.open(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadRecipe):
        Texts.open(tmp_path / "x.parquet")
    (tmp_path / "y.jsonl.xz").write_bytes(b"not xz")
    with pytest.raises(BadRecipe, match="cannot be read"):
        list(Texts.open(tmp_path / "y.jsonl.xz").documents("train"))
