"""The text a family is distilled and measured on: three splits, and a digest of all of it.

No torch here: the front end digests texts to compute keys.
"""

import gzip
import hashlib
import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

from boomerang.errors import BadRecipe

Split = Literal["train", "calibration", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "heldout")

_FILE = re.compile(r"\.(?P<kind>jsonl|txt)(\.(?P<packed>xz|gz))?$")
_CALIBRATION, _HELDOUT = 0.05, 0.10
_PASSAGE = 2000
"""Characters, at least, of the passages that a single .txt file is cut into."""


@dataclass(frozen=True)
class Texts:
    """Documents of the three splits.

    Where `dealt` is true, the same files serve all splits, and a hash of each document says to
    which it belongs (90 % train, 5 % calibration, 5 % held out).
    """

    name: str
    path: Path
    files: dict[Split, tuple[Path, ...]]
    dealt: bool

    @classmethod
    def open(cls, path: Path | str) -> "Texts":
        """A folder with `train.*`, `calibration.*` and `heldout.*`, or one file.

        Each is a `.jsonl` file whose lines are `{"text": document}`, a `.txt` file of one
        document, either of them packed (`.xz`, `.gz`), or a folder of such files. Raises
        BadRecipe where there is no text.
        """
        path = Path(path)
        if path.is_file() and _FILE.search(path.name):
            return cls(path.name, path, dict.fromkeys(SPLITS, (path,)), dealt=True)
        if path.is_dir():
            found: dict[Split, tuple[Path, ...]] = {s: tuple(_files(path, s)) for s in SPLITS}
            if all(found.values()):
                return cls(path.name, path, found, dealt=False)
            missing = [split for split, files in found.items() if not files]
            every = tuple(sorted(f for f in path.iterdir() if f.is_file() and _FILE.search(f.name)))
            if len(missing) == len(SPLITS) and every:
                return cls(path.name, path, dict.fromkeys(SPLITS, every), dealt=True)
            raise _no_text(path, f"it has no {' and no '.join(missing)}")
        raise _no_text(path, "there is no such file or folder" if not path.exists() else "its kind")

    def documents(self, split: Split) -> Iterator[str]:
        """The documents of one split, in order, those that are empty left out.

        Raises BadRecipe for a file that is not what its name says.
        """
        single = self.dealt and len(self.files[split]) == 1
        for file in self.files[split]:
            for document in _read(file, passages=single):
                if document.strip() and (not self.dealt or _dealt_to(document) == split):
                    yield document

    @cached_property
    def digest(self) -> str:
        """32 hex digits over every byte of every split."""
        total = hashlib.sha256(b"dealt" if self.dealt else b"split")
        for split in SPLITS[:1] if self.dealt else SPLITS:
            for file in self.files[split]:
                with file.open("rb") as data:
                    content = hashlib.file_digest(data, "sha256").hexdigest()
                total.update(f"\n{split} {file.suffixes} {content}".encode())
        return total.hexdigest()[:32]


def _files(folder: Path, split: str) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_dir() and file.name == split:
            yield from sorted(f for f in file.rglob("*") if f.is_file() and _FILE.search(f.name))
        elif (found := _FILE.search(file.name)) and file.name[: found.start()] == split:
            yield file


def _read(file: Path, *, passages: bool) -> Iterator[str]:
    found = _FILE.search(file.name)
    kind = found["kind"] if found else "txt"
    try:
        with _open(file, found["packed"] if found else None) as lines:
            if kind == "jsonl":
                yield from _json_lines(file, lines)
            elif passages:
                yield from _passages(lines)
            else:
                yield lines.read()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise BadRecipe(
            f"{file.name} cannot be read as text: {error}.",
            value=file.name,
            fix="Text is UTF-8, plain or packed with xz or gzip.",
        ) from None


def _open(file: Path, packed: str | None) -> IO[str]:
    if packed == "xz":
        return lzma.open(file, "rt", encoding="utf-8")
    if packed == "gz":
        return gzip.open(file, "rt", encoding="utf-8")
    return file.open(encoding="utf-8")


def _json_lines(file: Path, lines: IO[str]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise BadRecipe(
                f'Line {number} of {file.name} is not {{"text": "…"}}.',
                value=line[:80],
                fix="Each line of a .jsonl file is an object with the document as text.",
            )
        yield text


def _passages(lines: IO[str]) -> Iterator[str]:
    passage: list[str] = []
    length = 0
    for line in lines:
        passage.append(line)
        length += len(line)
        if length >= _PASSAGE and not line.strip():
            yield "".join(passage).strip()
            passage, length = [], 0
    yield "".join(passage).strip()


def _dealt_to(document: str) -> Split:
    # A hash, not a counter: a document stays in its split when others are added.
    share = int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big") / 2**64
    if share < _CALIBRATION:
        return "calibration"
    return "heldout" if share < _HELDOUT else "train"


def _no_text(path: Path, why: str) -> BadRecipe:
    return BadRecipe(
        f"{path.name!r} is no text to train on: {why}.",
        value=str(path),
        fix="Give a folder with train, calibration and heldout (.jsonl or .txt, plain, .xz or "
        ".gz), or one such file.",
    )
