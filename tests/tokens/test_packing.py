"""Packed sequences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boomerang.distill import distillation
from boomerang.errors import BadRecipe, CorruptCheckpoint
from boomerang.recipes.recipe import LossOn
from boomerang.texts.conversations import Conversation
from boomerang.texts.texts import LocalFile, Split, Texts
from boomerang.tokens import packing as data
from boomerang.tokens.loss_mask import Sequences
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream
from tests.distill.jobs import TEMPLATE, job, save_texts, save_tokenizer, told
from tests.support.models import VOCABULARY


def test_documents_are_joined_with_the_end_of_text_before_each(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"text": "w0 w1"}\n{"text": "w2"}')
    file = LocalFile(tmp_path / "t.jsonl")
    texts = Texts("t", str(tmp_path), {"train": (file,)}, dealt=False)
    tokens = Tokeniser(tmp_path, VOCABULARY).encode(texts, "train")
    assert tokens.tolist() == [2, 3, 4, 2, 5]


def two_documents(folder: Path, begin: str | None, loss_on: LossOn | None = None) -> list[int]:
    save_tokenizer(folder, begin=begin)
    (folder / "t.jsonl").write_text('{"text": "w0 w1"}\n{"text": "w2"}')
    texts = Texts("t", str(folder), {"train": (LocalFile(folder / "t.jsonl"),)}, dealt=False)
    return Tokeniser(folder, VOCABULARY).encode(texts, "train", loss_on=loss_on).tolist()


def test_a_document_begins_with_what_the_teachers_tokenizer_puts_first(tmp_path: Path) -> None:
    """`<s>` is 1, the end of text 2. What it begins with follows from nothing: not to be learnt."""
    assert two_documents(tmp_path, "<s>") == [1, 3, 4, 2, 1, 5, 2]
    assert two_documents(tmp_path, "<s>", "all") == [~1, 3, 4, 2, ~1, 5, 2]
    # One token may end a text and begin the next.
    assert two_documents(tmp_path, "</s>", "all") == [2, 3, 4, 2, 5]
    assert two_documents(tmp_path, None, "all") == [2, 3, 4, 2, 5]


def test_a_beginning_that_the_chat_template_wrote_is_not_written_twice(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, "{{ bos_token }}" + TEMPLATE, begin="<s>")
    talk = Conversation(
        ({"role": "user", "content": "w5"}, {"role": "assistant", "content": "w6"}), "t:1"
    )
    tokeniser = Tokeniser(tmp_path, VOCABULARY)
    ((_, stored),) = tokeniser.batches([talk], "all")
    assert stored.tolist() == [~1, 3, 8, 2, 4, 9, 2, 2]
    ((_, stored),) = tokeniser.batches([talk], "completions")
    assert stored.tolist() == [~1, ~3, ~8, ~2, ~4, 9, 2, ~2]
    read = Sequences.read(torch.tensor(stored[None].astype(np.int64)), 1, torch.device("cpu"))
    assert read.inputs.tolist() == [[1, 3, 8, 2, 4, 9, 2]]


def test_every_sequence_begins_as_the_teachers_texts_do(tmp_path: Path) -> None:
    tokens = np.array([1, 3, 4, 5, 6, 7, 8, 2, 1, 9, 9, 9, 9], np.int32)
    plain, begun = Stream(tokens, 4), Stream(tokens, 4, begins=(1,))
    assert plain.head(99).tolist() == [[1, 3, 4, 5, 6], [6, 7, 8, 2, 1], [1, 9, 9, 9, 9]]
    assert begun.head(99).tolist() == [[1, 3, 4, 5, 6], [1, 7, 8, 2, 1], [1, 9, 9, 9, 9]]
    # What is to be predicted stays as it was.
    assert begun.batch(0, 0, 3)[:, 1:].equal(plain.batch(0, 0, 3)[:, 1:])
    assert set(begun.batch(0, 0, 3)[:, 0].tolist()) == {1}
    # Two tokens at the beginning, the second of them nobody's to predict where one is trained.
    two = Stream(tokens, 4, end=1, begins=(1, 3))
    assert two.head(99).tolist() == [[1, 3, 4, 5, 6], [1, ~3, 8, 2, 1], [1, ~3, 9, 9, 9]]
    places = begun.positions(torch.tensor([[7, 8, 2, 1, 9, 9]]))
    assert places is None
    places = Stream(tokens, 4, end=1).positions(torch.tensor([[7, 8, 2, 1, 9, 9]]))
    assert places is not None
    assert places.tolist() == [[0, 1, 2, 0, 1, 2]]


def test_an_epoch_gives_every_token_once_and_windows_in_a_row_join_up() -> None:
    stream = Stream(np.arange(101, dtype=np.int32), 10)
    assert stream.windows == 10
    batch = stream.batch(seed=1, step=0, sequences=10)
    assert batch.shape == (10, 11)
    assert len(set(batch[:, :-1].flatten().tolist())) == 100
    assert all((row[1:] - row[:-1]).remainder(101).eq(1).all() for row in batch)
    following = stream.batch(seed=1, step=1, sequences=10)
    assert not batch.equal(following)


def test_a_step_depends_on_seed_and_step_alone() -> None:
    tokens = np.arange(1000, dtype=np.int32)
    first = [Stream(tokens, 10).batch(1, step, 7) for step in range(30)]
    assert Stream(tokens, 10).batch(1, 20, 7).equal(first[20])
    assert Stream(tokens, 10).batch(1, 3, 7).equal(first[3])
    assert not Stream(tokens, 10).batch(2, 3, 7).equal(first[3])


def test_the_sequences_of_a_run_are_those_that_they_always_were() -> None:
    stream = Stream(np.arange(101, dtype=np.int32), 10)
    begins = [stream.batch(1, step, 4)[:, 0].tolist() for step in (0, 3, 7)]
    assert begins == [[82, 42, 72, 2], [49, 69, 19, 9], [71, 21, 20, 0]]


def test_positions_begin_again_where_a_document_does() -> None:
    stream = Stream(np.arange(11, dtype=np.int32), 10, end=2)
    ids = torch.tensor([[5, 6, 2, 7, 8, 2], [2, 2, 5, 6, 7, 8]])
    found = stream.positions(ids)
    assert found is not None
    assert found.tolist() == [[0, 1, 0, 1, 2, 0], [0, 0, 1, 2, 3, 4]]
    assert Stream(np.arange(11, dtype=np.int32), 10).positions(ids) is None


def test_a_stream_shorter_than_a_sequence_is_refused() -> None:
    with pytest.raises(BadRecipe, match="10 tokens"):
        Stream(np.arange(10, dtype=np.int32), 10)
    assert Stream(np.arange(11, dtype=np.int32), 10).windows == 1


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    with pytest.raises(CorruptCheckpoint, match="vocabulary has 20"):
        Tokeniser(tmp_path, 20).encode(Texts.open(save_texts(tmp_path / "texts")), "train")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorruptCheckpoint, match="does not load"):
        Tokeniser(tmp_path, VOCABULARY)


def test_no_more_text_is_tokenised_than_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokeniser, texts = Tokeniser(folder / "teacher", VOCABULARY), Texts.open(folder / "texts")
    monkeypatch.setattr(data, "_AT_ONCE", 2)
    whole, read = tokeniser.encode(texts, "calibration"), [0]
    encoded = tokeniser._encoded

    def counts(batch: list[Any], *how: Any) -> Any:
        read[0] += len(batch)
        return encoded(batch, *how)

    monkeypatch.setattr(tokeniser, "_encoded", counts)
    assert tokeniser.encode(texts, "calibration", most=50).tolist() == whole[:50].tolist()
    assert read == [4]


def test_training_tokenises_no_more_calibration_text_than_it_is_judged_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Split, int]] = []
    encode = Tokeniser.encode

    def counting(tokeniser: Tokeniser, texts: Texts, split: Split, **how: Any) -> Any:
        found = encode(tokeniser, texts, split, **how)
        asked.append((split, len(found)))
        return found

    monkeypatch.setattr(Tokeniser, "encode", counting)
    monkeypatch.setattr(distillation, "FINAL_TOKENS", 64)
    status, said = told(job(folder, recipe={"steps": 1}), capsys)
    assert (status, said[-1]["event"]) == (0, "done")
    # The last token is only predicted. All of the split has 840.
    assert [tokens for split, tokens in asked if split == "calibration"] == [64 + 1]
