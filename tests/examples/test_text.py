"""Prose and conversations from pages of documentation, as the packages have them."""

import importlib.util
import json
import lzma
from pathlib import Path
from types import ModuleType

import pytest

from boomerang.texts.texts import Texts
from tests.support.places import ROOT

SENTENCE = "The quick brown fox jumps over the lazy dog and then goes home to sleep for the night."
FAQ = f"""<html><body><nav><p>{SENTENCE} Not this.</p></nav><section><h1>FAQ</h1>
<section><h2>Why is it so?<a class="headerlink">¶</a></h2><p>{SENTENCE}</p>
<p>{SENTENCE} More of it.</p><pre>code()</pre></section></section></body></html>"""
LIBRARY = f"""<html><body><h1>shutil</h1><dl class="py function">
<dt id="shutil.copy">copy(a, b)</dt>
<dd><p>{SENTENCE} It copies.</p></dd></dl>
<dl class="py method"><dt id="x.y">y()</dt><dd><p>Short.</p></dd></dl></body></html>"""
PAGE = "<html><body>" + "".join(f"<p>{SENTENCE} Number {n}.</p>" for n in "abcdefghijklmno")
GIT = f"""<html><body><div class="sect1"><h2>DESCRIPTION</h2><div><p>{SENTENCE} In git.</p></div>
</div></body></html>"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "examples" / "smollm2" / "make_text.py"
    spec = importlib.util.spec_from_file_location("make_text", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The folder of documentation, with a page of each kind."""
    for name, text in {
        "python3.11/html/faq/general.html": FAQ,
        "python3.11/html/glossary.html": "<html><body><p>none</p></body></html>",
        "python3.11/html/library/shutil.html": LIBRARY,
        "debian-handbook/html/en-US/apt.html": PAGE,
        "git-doc/git-add.html": GIT,
    }.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path / "docs"


def test_pages_are_their_sentences_alone(script: ModuleType, docs: Path) -> None:
    (page,) = script.pages(docs)
    assert page.split("\n\n") == [f"{SENTENCE} Number {n}." for n in "abcdefghijklmno"]
    assert not script.is_prose("os.path.join(a, *b) -> str; see PEP 428, 1234567890, and so on.")


def test_questions_have_their_answers(script: ModuleType, docs: Path) -> None:
    found = {one[0]["content"]: one[1] for one in script.chats(docs)}
    assert found == {
        "Why is it so?": {"role": "assistant", "content": f"{SENTENCE}\n\n{SENTENCE} More of it."},
        "What is the function shutil.copy of Python for?": {
            "role": "assistant", "content": f"{SENTENCE} It copies.",
        },
        "What does the command git-add do?": {
            "role": "assistant", "content": f"{SENTENCE} In git.",
        },
    }  # fmt: skip


def test_splits_are_apart_and_are_read_as_text(script: ModuleType, tmp_path: Path) -> None:
    script.write(tmp_path / "prose", ({"text": f"Document {n}."} for n in range(40)))
    lines = {}
    for split in ("train", "calibration", "heldout"):
        with lzma.open(tmp_path / "prose" / f"{split}.jsonl.xz", "rt") as file:
            lines[split] = [json.loads(line)["text"] for line in file]
    assert (len(lines["train"]), lines["calibration"]) == (36, ["Document 15.", "Document 35."])
    assert lines["heldout"] == ["Document 5.", "Document 25."]
    assert list(Texts.open(tmp_path / "prose").documents("heldout")) == lines["heldout"]
