"""Make text to distil SmolLM2 on: prose and conversations from Debian's documentation packages.

    python examples/smollm2/make_text.py FOLDER      # FOLDER/prose and FOLDER/chats

Downloads `debian-handbook`, `python3.11-doc`, `postgresql-doc-15` and `git-doc` with apt, whose
licences (GPL, PSF, PostgreSQL, GPL) allow it, and writes for each kind of text three splits:

    train.jsonl.xz         nine pages (answers) in ten
    calibration.jsonl.xz   one in twenty: choosing
    heldout.jsonl.xz       one in twenty: reporting, and nothing else

Prose is one page a line, `{"text": …}`. A conversation is one question of the documentation with
its answer, `{"messages": […]}`: the FAQ and glossary of Python, what each function of its library
does, what each command of git does. Needs the package `beautifulsoup4`.
"""

import argparse
import json
import lzma
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag

PACKAGES = ("debian-handbook", "python3.11-doc", "postgresql-doc-15", "git-doc")
DOC = Path("usr/share/doc")
PAGES = {
    "debian-handbook/html/en-US": "*.html",
    "python3.11/html": "[lhtufr]*/*.html",
    "postgresql-doc-15/html": "*.html",
    "git-doc": "*.html",
}
PROSE = ["h1", "h2", "h3", "p", "div.para", "dd", "li"]
LEAST, MOST = 60, 1500
"""Characters of a page's paragraph that is prose; of an answer at most."""


def main() -> None:
    """Download, and write both folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where prose/ and chats/ are made")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        docs = unpacked(Path(scratch))
        write(folder / "prose", ({"text": text} for text in pages(docs)))
        write(folder / "chats", ({"messages": messages} for messages in chats(docs)))


def unpacked(folder: Path) -> Path:
    """Download the packages and unpack them below a folder."""
    command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", "-qq", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return folder / DOC


def soup(path: Path) -> BeautifulSoup:
    """A page without what is not its text."""
    page = BeautifulSoup(path.read_text("utf-8", errors="replace"), "html.parser")
    for part in page.select("script, style, nav, table, pre, .headerlink, .navheader, .navfooter"):
        part.decompose()
    return page


def words(tag: Tag) -> str:
    """A tag's text on one line."""
    return re.sub(r"\s+", " ", tag.get_text()).strip()


def pages(docs: Path) -> Iterator[str]:
    """Yield the prose of every page that has some, its paragraphs apart."""
    for where, pattern in PAGES.items():
        for path in sorted((docs / where).glob(pattern)):
            found = [
                words(tag)
                for tag in soup(path).select(", ".join(PROSE))
                if tag.find(["p", "div", "li", "dd"]) is None
            ]
            prose = [text for text in dict.fromkeys(found) if is_prose(text)]
            if sum(map(len, prose)) > 1000:
                yield "\n\n".join(prose)


def is_prose(text: str) -> bool:
    """Whether a paragraph is sentences rather than names and code."""
    letters = sum(c.isalpha() or c == " " for c in text)
    return len(text) >= LEAST and letters > 0.85 * len(text) and text[-1] in ".:!?"


def chats(docs: Path) -> Iterator[list[dict[str, str]]]:
    """Yield every question with its answer, each once."""
    seen = set()
    for question, answer in questions(docs):
        ended = answer[: MOST + 1].rsplit(". ", 1)[0] + "." if len(answer) > MOST else answer
        if question not in seen and is_prose(ended):
            seen.add(question)
            yield [{"role": "user", "content": question}, {"role": "assistant", "content": ended}]


def questions(docs: Path) -> Iterator[tuple[str, str]]:
    """Yield pairs of a question and all that answers it."""
    python = docs / "python3.11/html"
    for path in sorted((python / "faq").glob("*.html")):
        for heading in soup(path).select("section > h2, section > h3"):
            answer = [words(tag) for tag in heading.find_next_siblings("p")]
            yield words(heading), "\n\n".join(answer)
    for term in soup(python / "glossary.html").select("dl.glossary > dt"):
        definition = term.find_next_sibling("dd")
        if definition is not None:
            yield f"What does “{words(term)}” mean in Python?", paragraphs(definition)
    for path in sorted((python / "library").glob("*.html")):
        page = soup(path)
        for kind in ("function", "method", "class", "exception"):
            for entry in page.select(f"dl.py.{kind}"):
                signature, body = entry.find("dt"), entry.find("dd")
                if signature is None or body is None or not signature.get("id"):
                    continue
                asked = f"What is the {kind} {signature['id']} of Python for?"
                yield asked, paragraphs(body)
    for path in sorted((docs / "git-doc").glob("git-*.html")):
        page = soup(path)
        described = page.find(string=re.compile("^DESCRIPTION$"))
        section = described.find_parent("div") if described else None
        if section is not None:
            yield f"What does the command {path.stem} do?", paragraphs(section)


def paragraphs(tag: Tag) -> str:
    """The first paragraphs of a description."""
    return "\n\n".join(words(p) for p in tag.find_all("p", limit=3))


def write(folder: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write the three splits of a kind of text."""
    splits: dict[str, list[str]] = {"train": [], "calibration": [], "heldout": []}
    for number, line in enumerate(lines):
        split = {5: "heldout", 15: "calibration"}.get(number % 20, "train")
        splits[split].append(json.dumps(line, ensure_ascii=False))
    folder.mkdir(exist_ok=True)
    for name, made in splits.items():
        raw = ("\n".join(made) + "\n").encode()
        (folder / f"{name}.jsonl.xz").write_bytes(lzma.compress(raw))
        print(f"{folder.name} {name}: {len(made):,} documents, {len(raw):,} bytes")


if __name__ == "__main__":
    main()
