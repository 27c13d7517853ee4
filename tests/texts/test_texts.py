"""Texts in every form, and what is no text."""

import gzip
import json
import lzma
import random
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from boomerang.errors import BadRecipe
from boomerang.texts.datasets import Dataset
from boomerang.texts.texts import SPLITS, Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.token_file import TokenFile, TokenSpec
from tests.distill.jobs import WORDS, save_teacher, save_tokenizer
from tests.local_hub.fixture import LocalHub, hub
from tests.support.cli_stub import error, told
from tests.support.models import VOCABULARY

pytestmark = pytest.mark.slow("a distillation on a dataset of the local Hub")

__all__ = ["hub"]


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
    with pytest.raises(BadRecipe, match=r"x\.parquet cannot be read"):
        list(Texts.open(tmp_path / "x.parquet").documents("train"))
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(BadRecipe, match="its kind"):
        Texts.open(tmp_path / "x.bin")
    (tmp_path / "y.jsonl.xz").write_bytes(b"not xz")
    with pytest.raises(BadRecipe, match="cannot be read"):
        list(Texts.open(tmp_path / "y.jsonl.xz").documents("train"))


def table(path: Path, documents: list[str | None], column: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pyarrow.table({"id": list(range(len(documents))), column: documents})
    parquet.write_table(made, path, row_group_size=100)
    return path


def test_a_table_is_a_text(tmp_path: Path) -> None:
    documents = [f"document {i}" for i in range(1000)]
    table(tmp_path / "all.parquet", [*documents, None, " "])
    dealt = {s: list(Texts.open(tmp_path / "all.parquet").documents(s)) for s in SPLITS}
    assert sorted(d for split in SPLITS for d in dealt[split]) == sorted(documents)
    assert 850 < len(dealt["train"]) < 950
    # In another form the same documents are dealt in the same way.
    (tmp_path / "all.jsonl").write_text(rows(*documents))
    assert list(Texts.open(tmp_path / "all.jsonl").documents("heldout")) == dealt["heldout"]
    table(tmp_path / "odd.parquet", ["a"], column="content")
    with pytest.raises(BadRecipe, match="no column of text 'text'") as raised:
        list(Texts.open(tmp_path / "odd.parquet").documents("train"))
    assert raised.value.fix == "Name one of content."


def dataset(folder: Path) -> Path:
    """Two tables and a file of lines, none of which names a split."""
    table(folder / "data/part-0.parquet", [f"a{i}" for i in range(3000)], "content")
    table(folder / "data/part-1.parquet", [f"b{i}" for i in range(3000)], "content")
    lines = "\n".join(json.dumps({"content": f"c{i}"}) for i in range(100))
    with gzip.open(folder / "more.jsonl.gz", "wt") as file:
        file.write(lines)
    (folder / "README.md").write_text("# A dataset\n")
    return folder


def test_a_dataset_of_the_hub_is_pinned_and_read_by_range(hub: LocalHub, tmp_path: Path) -> None:
    commit = hub.add_repo("datasets/some/texts", dataset(tmp_path / "files"))
    texts = Texts.of_dataset(Dataset("some/texts", None, "content"), hub.endpoint)
    assert texts.location == f"hf://datasets/some/texts@{commit}#content"
    assert not hub.lines("resolve")
    documents = {split: list(texts.documents(split)) for split in SPLITS}
    found = [d for split in SPLITS for d in documents[split]]
    assert len(found) == len(set(found)) == 6100
    assert documents["train"][0].startswith("a")
    assert documents["train"][-1].startswith("c")
    # Enough for a run is read of it, and no more.
    hub.asked.clear()
    save_tokenizer(tmp_path)
    tokeniser = Tokeniser(tmp_path, VOCABULARY)
    wanted = TokenSpec(
        teacher=tmp_path, vocabulary=VOCABULARY, text=texts.location, digest=texts.digest, most=500
    )
    file = TokenFile(tmp_path / "run", wanted)
    file.write(tokeniser, texts)
    assert not [line for line in hub.lines("resolve") if "part-0" not in line]
    assert file.tokens(file.state()).tolist() == tokeniser.encode(texts, "train")[:500].tolist()


def test_a_datasets_digest_is_its_commit_and_column(
    hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.add_repo("datasets/some/texts", dataset(tmp_path / "files"))
    named = Dataset("some/texts", None, "content")
    before = Texts.of_dataset(named, hub.endpoint)
    files = dict(hub.store.repos["datasets/some/texts"].at("main").files)
    files["extra.txt"] = hub.store.add("extra.txt", b"more")
    hub.store.repos["datasets/some/texts"].commit("main", "more", files)
    after = Texts.of_dataset(named, hub.endpoint)
    pinned = Texts.of_dataset(Dataset("some/texts", first, "content"), hub.endpoint)
    other = Texts.of_dataset(Dataset("some/texts", first), hub.endpoint)
    assert before.digest == pinned.digest
    assert len({before.digest, after.digest, other.digest}) == 3
    # What names it opens it again, in another process too, at that commit.
    monkeypatch.setenv("BOOMERANG_HUB_ENDPOINT", hub.endpoint)
    again = Texts.open(before.location)
    assert (again.digest, len(again.files["train"])) == (before.digest, 3)


def test_a_dataset_may_have_its_own_splits(hub: LocalHub, tmp_path: Path) -> None:
    for split, count in (("train", 10), ("validation", 5), ("test", 7)):
        name = f"data/{split}-00000-of-00001.parquet"
        table(tmp_path / "files" / name, [f"{split} {i}" for i in range(count)])
    hub.add_repo("datasets/some/split", tmp_path / "files")
    texts = Texts.of_dataset(Dataset("some/split"), hub.endpoint)
    assert [len(list(texts.documents(split))) for split in SPLITS] == [10, 5, 7]
    assert next(iter(texts.documents("heldout"))) == "test 0"


def test_what_is_no_dataset_is_refused(hub: LocalHub, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match="There is no dataset 'some/thing'"):
        Texts.of_dataset(Dataset("some/thing"), hub.endpoint)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "image.png").write_bytes(b"png")
    hub.add_repo("datasets/some/images", tmp_path / "files")
    with pytest.raises(BadRecipe, match="no file of a kind that is read"):
        Texts.of_dataset(Dataset("some/images"), hub.endpoint)
    for wrong in ("no-owner", "../etc", "a/b/c", "a/b--c"):
        with pytest.raises(BadRecipe, match="no name of a dataset"):
            Dataset(wrong)


@pytest.mark.parametrize("revision", [None, "main", "refs/pr/1"])
def test_a_location_names_a_dataset(revision: str | None) -> None:
    named = Dataset("some/texts", revision, "a column#")
    assert Dataset.parse(named.location) == named


@pytest.mark.long("a distillation on a dataset of the local Hub")
def test_a_student_is_distilled_on_a_dataset_of_the_hub(hub: LocalHub, tmp_path: Path) -> None:
    save_teacher(tmp_path / "teacher", "llama-tied")
    draw = random.Random(0)
    documents = [" ".join(draw.choices(WORDS, k=40)) for _ in range(400)]
    table(tmp_path / "files/part-0.parquet", documents, "content")
    commit = hub.add_repo("datasets/some/texts", tmp_path / "files")
    record = told(
        "distill", tmp_path / "teacher", "--dataset", "some/texts#content", "--recipe", "smoke",
        "--steps", 2, "--out", tmp_path / "out", HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0",
    )  # fmt: skip
    texts = Texts.of_dataset(Dataset("some/texts", commit, "content"), hub.endpoint)
    assert record["data"] == {"name": "some/texts", "digest": texts.digest}
    assert record["steps"] == 2
    said = error("distill", tmp_path / "teacher", "--out", tmp_path / "none")
    assert "--text or --dataset" in said
