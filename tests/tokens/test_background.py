"""Text that is tokenised while a run goes on: the same sequences, whoever is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boomerang.errors import BadRecipe, HubFailure, TrainingFailed
from boomerang.recipes.recipe import TRAINER_VERSION
from boomerang.texts.texts import Texts
from boomerang.tokens import background, windows
from boomerang.tokens.background import GrowingStream, stream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.token_file import TokenFile, TokenSpec
from boomerang.tokens.windows import Numbered, Stream
from tests.distill.jobs import WORDS, job, save_texts, save_tokenizer, told
from tests.distill.test_survival import EACH, curve, weights
from tests.support.models import VOCABULARY

pytestmark = pytest.mark.slow("a writer beside a trainer, each a process")

LENGTH = 16


@pytest.fixture
def at_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is a large one, and a few sequences are a block."""
    monkeypatch.setattr(background, "SMALL_TEXT", 0)
    monkeypatch.setattr(windows, "BLOCK", 4)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A text that takes seconds to tokenise, and its teacher's tokenizer beside it."""
    save_tokenizer(tmp_path)
    folder, draw = tmp_path / "texts", random.Random(0)
    save_texts(folder, documents=1)
    line = json.dumps({"text": " ".join(draw.choices(WORDS, k=400))})
    (folder / "train.jsonl").write_text("\n".join([line] * 5_000))
    return folder


def wanted(folder: Path, **more: int) -> TokenSpec:
    texts = Texts.open(folder)
    return TokenSpec(
        teacher=folder.parent, vocabulary=VOCABULARY, text=texts.location, digest=texts.digest,
        **more,
    )  # fmt: skip


def begun(folder: Path, run: Path, **more: int) -> Numbered:
    tokeniser = Tokeniser(folder.parent, VOCABULARY)
    return stream(tokeniser, Texts.open(folder), wanted(folder, **more), LENGTH, run)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_an_epoch_goes_through_block_after_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Stream(np.arange(10 * 11 + 1, dtype=np.int32), 10)
    assert whole.batch(1, 0, 11)[:, 0].sub(whole.batch(1, 0, 11)[:, 0].min()).unique().numel() == 11
    monkeypatch.setattr(windows, "BLOCK", 4)
    for seed in range(3):
        begins = whole.batch(seed, 0, 33)[:, 0].tolist()
        for epoch in range(3):
            mine = begins[11 * epoch : 11 * (epoch + 1)]
            low = (min(mine[:4])) % 111
            found = [(begin - low) % 111 // 10 for begin in mine]
            assert [sorted(found[i : i + 4]) for i in (0, 4, 8)] == [
                [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10],
            ]  # fmt: skip


def test_a_run_tokenises_once_and_again_where_the_text_changed(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    folder, calls = save_texts(tmp_path / "texts"), list[None]()

    def tokens() -> list[int]:
        tokeniser, texts = Tokeniser(tmp_path, VOCABULARY), Texts.open(folder)
        file = TokenFile(tmp_path / "run", wanted(folder))
        file.write(tokeniser, texts, lambda: calls.append(None))
        return file.tokens(file.state()).tolist()

    first = tokens()
    assert (
        tokens()
        == first
        == Tokeniser(tmp_path, VOCABULARY).encode(Texts.open(folder), "train").tolist()
    )
    assert len(calls) == 1
    save_texts(folder, documents=3)
    assert len(tokens()) == 3 * 21
    assert len(calls) == 2


@pytest.mark.parametrize("changes", ["the beginning", "the trainer"])
def test_tokens_from_before_the_beginning_or_the_trainer_changed_are_not_used(
    changes: str, tmp_path: Path
) -> None:
    save_tokenizer(tmp_path)
    folder, run = save_texts(tmp_path / "texts"), tmp_path / "run"
    begun(folder, run).close()
    older = run / "train.json"
    if changes == "the beginning":
        save_tokenizer(tmp_path, begin="<s>")
    else:
        # As one wrote it that did not say its version.
        said = json.loads(older.read_text())
        said["of"] = {key: value for key, value in said["of"].items() if key != "trainer"}
        older.write_text(json.dumps(said))
        (run / "train.tokens").write_bytes(bytes((run / "train.tokens").stat().st_size))
    begun(folder, run).close()
    expected = Tokeniser(tmp_path, VOCABULARY).encode(Texts.open(folder), "train", loss_on="all")
    assert np.fromfile(run / "train.tokens", np.int32).tolist() == expected.tolist()
    said = json.loads(older.read_text())["of"]
    assert (said["begins"], said["trainer"]) == (
        [1] if changes == "the beginning" else [], TRAINER_VERSION,
    )  # fmt: skip


@pytest.mark.long("a long text is tokenised twice")
def test_the_sequences_are_those_of_the_whole_text(long: Path, at_the_side: None) -> None:
    file = TokenFile(long.parent / "whole", wanted(long))
    file.write(Tokeniser(long.parent, VOCABULARY), Texts.open(long))
    whole = Stream(file.tokens(file.state()), LENGTH)
    coming = begun(long, long.parent / "run")
    assert isinstance(coming, GrowingStream)
    assert not coming.has(whole.windows)
    for number in (0, 3, 4, 5, 9_001, whole.windows - 1, whole.windows, 3 * whole.windows + 7):
        until(lambda number=number: coming.has(number))  # type: ignore[misc]
        (row,), (same,) = coming.rows(2, number, 1), whole.rows(2, number, 1)
        assert row.tolist() == same.tolist()
    coming.close()
    few = begun(long, long.parent / "few", most=windows.tokens_for(9, LENGTH))
    until(lambda: few.has(8))
    assert np.stack(few.rows(2, 0, 9)).tolist() == np.stack(whole.rows(2, 0, 9)).tolist()
    few.close()
    assert isinstance(begun(long, long.parent / "few", most=windows.tokens_for(9, LENGTH)), Stream)


@pytest.mark.long("a writer beside a trainer, each a process")
def test_a_writer_that_was_killed_is_told_and_the_next_one_goes_on(
    long: Path, at_the_side: None
) -> None:
    coming = begun(long, long.parent / "run")
    assert isinstance(coming, GrowingStream)
    assert coming.writer is not None
    os.kill(coming.writer.pid, signal.SIGKILL)
    coming.writer.wait()
    with pytest.raises(TrainingFailed, match=r"tokenises the train split ended with status -9\."):
        coming.has(10**6)
    file = TokenFile(long.parent / "run", wanted(long))
    assert 0 < (there := file.state()).documents < 5_000
    # What was written and not said is written again.
    with file.path.open("ab") as out:
        out.write(b"\1\2\3")
    file.write(Tokeniser(long.parent, VOCABULARY), Texts.open(long))
    assert file.state().tokens == 5_000 * 401
    tokens = file.tokens(file.state()).reshape(5_000, 401)
    assert (tokens == tokens[0]).all()
    assert there.tokens == there.documents * 401


@pytest.mark.long("a trainer is started and killed")
def test_a_writer_ends_with_its_trainer(long: Path) -> None:
    run = long.parent / "run"
    code = (
        "import sys, time; from pathlib import Path; "
        "from boomerang.tokens import background, windows; "
        "from tests.tokens.test_background import begun; "
        "background.SMALL_TEXT = 0; windows.BLOCK = 4; "
        "print(begun(Path(sys.argv[1]), Path(sys.argv[2])).writer.pid, flush=True); time.sleep(60)"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", code, str(long), str(run)], stdout=subprocess.PIPE, text=True
    )
    assert trainer.stdout is not None
    writer = int(trainer.stdout.readline())
    trainer.kill()
    trainer.communicate()
    file, line = TokenFile(run, wanted(long)), Path(f"/proc/{writer}/cmdline")
    assert not file.state().whole
    # It waits for the lock, if there is still someone to wait for.
    file.write(Tokeniser(long.parent, VOCABULARY), Texts.open(long))
    # Where nobody waits for orphans, one that has ended still has a number, and no command.
    assert not (line.exists() and line.read_bytes())
    assert file.state().tokens == 5_000 * 401


@pytest.mark.long("two trainings with a writer beside")
def test_a_run_is_the_same_with_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, before = {"steps": 5, "loss_on": "completions"}, children()
    monkeypatch.setattr(windows, "BLOCK", 4)
    status, one = told(job(folder, "one", recipe=recipe, **EACH), capsys)
    assert status == 0
    monkeypatch.setattr(background, "SMALL_TEXT", 0)
    status, other = told(job(folder, "other", recipe=recipe, **EACH), capsys)
    assert (status, curve(other)) == (0, curve(one))
    assert all(w.equal(weights(folder, "one")[n]) for n, w in weights(folder, "other").items())
    assert children() <= before


@pytest.mark.long("a writer beside a trainer, each a process")
def test_what_is_wrong_with_the_text_reaches_the_run(
    folder: Path, at_the_side: None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = folder / "texts/train.jsonl"
    text.write_text(text.read_text() + "\n{}")
    status, said = told(job(folder), capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-recipe")
    assert "train.jsonl" in said[-1]["detail"]


@pytest.mark.long("two writers, each a process of its own")
def test_what_a_writer_met_is_forgotten_by_the_next(tmp_path: Path, at_the_side: None) -> None:
    save_tokenizer(tmp_path)
    folder = save_texts(tmp_path / "texts")
    TokenFile(tmp_path, wanted(folder)).fail(HubFailure("It did not answer.", value=503))
    with pytest.raises(HubFailure, match="did not answer"):
        TokenFile(tmp_path, wanted(folder)).state().refuse()
    begun(folder, tmp_path).close()
    with pytest.raises(BadRecipe, match="3 tokens"):
        begun(folder, tmp_path, most=3)
