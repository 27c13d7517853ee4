"""The text a family is distilled and measured on: three splits, and a digest of all of it.

No torch here: the front end digests texts to compute keys.
"""

import gzip
import hashlib
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from boomerang.distill.hub_texts import SCHEME, Dataset
from boomerang.errors import BadRecipe

Split = Literal["train", "calibration", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "heldout")

_FILE = re.compile(r"\.((?P<kind>jsonl|txt)(\.(?P<packed>xz|gz))?|(?P<table>parquet))$")
_NAMED: dict[Split, re.Pattern[str]] = {
    "train": re.compile(r"(^|[/._-])train"),
    "calibration": re.compile(r"(^|[/._-])(calibration|validation|valid|val|dev)([/._-]|$)"),
    "heldout": re.compile(r"(^|[/._-])(heldout|test)"),
}
"""How the files of a dataset on the Hub name their split."""
_CALIBRATION, _HELDOUT = 0.05, 0.10
_PASSAGE = 2000
"""Characters, at least, of the passages that a single .txt file is cut into."""
_HELD = 2048
"""Documents, at most, of the splits of a dataset on the Hub that are not trained on."""
_ROWS = 512
"""Rows of a table that are read together."""


class TextFile(Protocol):
    """A file of text, wherever it lies; `sha256` is that of its content, or stands for it."""

    @property
    def name(self) -> str:
        """Its name, without folders."""
        ...

    def open(self) -> IO[bytes]:
        """The content, from its beginning; a table is also read from its end."""
        ...

    @property
    def sha256(self) -> str:
        """Hex digest."""
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.path.name

    def open(self) -> IO[bytes]:
        """The content."""
        return self.path.open("rb")

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        with self.path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()


@dataclass(frozen=True)
class Texts:
    """Documents of the three splits.

    Where `dealt` is true, the same files serve all splits, and a hash of each document says to
    which it belongs (90 % train, 5 % calibration, 5 % held out). `location` opens the same text
    again; `column` names the documents in rows. A dataset on the Hub is `remote`: it is read as
    it is needed, and may be cut to its first `characters`.
    """

    name: str
    location: str
    files: dict[Split, tuple[TextFile, ...]]
    dealt: bool
    column: str = "text"
    remote: bool = False
    characters: int | None = None

    @classmethod
    def open(cls, path: Path | str) -> "Texts":
        """A folder with `train.*`, `calibration.*` and `heldout.*`, or one file.

        Each is a `.jsonl` file whose lines are `{"text": document}`, a `.txt` file of one
        document, either of them packed (`.xz`, `.gz`), a `.parquet` table with a column `text`,
        or a folder of such files. A name that begins with `hf://datasets/` is a dataset on the
        Hub, as `Dataset.location` writes it. Raises BadRecipe where there is no text, HubFailure.
        """
        if str(path).startswith(SCHEME):
            return cls.of_dataset(Dataset.parse(str(path)))
        path = Path(path)
        if path.is_file() and _FILE.search(path.name):
            return cls._dealt(path, (path,))
        if path.is_dir():
            found: dict[Split, tuple[Path, ...]] = {s: tuple(_files(path, s)) for s in SPLITS}
            if all(found.values()):
                local = {split: _local(files) for split, files in found.items()}
                return cls(path.name, str(path), local, dealt=False)
            missing = [split for split, files in found.items() if not files]
            every = tuple(sorted(f for f in path.iterdir() if f.is_file() and _FILE.search(f.name)))
            if len(missing) == len(SPLITS) and every:
                return cls._dealt(path, every)
            raise _no_text(path, f"it has no {' and no '.join(missing)}")
        raise _no_text(path, "there is no such file or folder" if not path.exists() else "its kind")

    @classmethod
    def of_dataset(cls, dataset: Dataset, endpoint: str | None = None) -> "Texts":
        """A dataset on the Hub, pinned to the commit that its revision is now.

        Where its files name all three splits they are those; otherwise the files that are named
        for training, or all of them, are dealt. Raises BadRecipe, GatedTeacher or HubFailure.
        """
        pinned, listed = dataset.resolve(endpoint)
        usable = [file for file in listed if _FILE.search(file.name)]
        if not usable:
            raise BadRecipe(
                f"The dataset {dataset.id!r} has no file of a kind that is read.",
                value=dataset.id,
                fix="Kinds are .parquet, .jsonl and .txt; those two also packed (.xz, .gz).",
            )
        found: dict[Split, tuple[TextFile, ...]] = {
            split: tuple(f for f in usable if pattern.search(f.path))
            for split, pattern in _NAMED.items()
        }
        split_up = all(found.values())
        if not split_up:
            found = dict.fromkeys(SPLITS, found["train"] or tuple(usable))
        return cls(
            pinned.id, pinned.location, found, not split_up, pinned.column or "text", remote=True
        )

    @classmethod
    def _dealt(cls, path: Path, files: tuple[Path, ...]) -> "Texts":
        return cls(path.name, str(path), dict.fromkeys(SPLITS, _local(files)), dealt=True)

    def first(self, characters: int) -> "Texts":
        """The same text, of which training reads the first `characters`, where it is remote."""
        return replace(self, characters=characters) if self.remote else self

    def documents(self, split: Split) -> Iterator[str]:
        """The documents of one split, in order, those that are empty left out.

        Raises BadRecipe for a file that is not what its name says.
        """
        found = self._documents(split)
        if self.remote and split != "train":
            yield from islice(found, _HELD)
            return
        read = 0
        for document in found:
            yield document
            read += len(document)
            if self.characters is not None and read >= self.characters:
                return

    def _documents(self, split: Split) -> Iterator[str]:
        single = self.dealt and len(self.files[split]) == 1
        for file in self.files[split]:
            for document in _read(file, self.column, passages=single):
                if document.strip() and (not self.dealt or _dealt_to(document) == split):
                    yield document

    @cached_property
    def digest(self) -> str:
        """32 hex digits over every byte of every split; on the Hub the commit stands for them."""
        if self.remote:
            return hashlib.sha256(self.location.encode()).hexdigest()[:32]
        total = hashlib.sha256(b"dealt" if self.dealt else b"split")
        for split in SPLITS[:1] if self.dealt else SPLITS:
            for file in self.files[split]:
                total.update(f"\n{split} {Path(file.name).suffixes} {file.sha256}".encode())
        return total.hexdigest()[:32]


def _local(files: tuple[Path, ...]) -> tuple[TextFile, ...]:
    return tuple(LocalFile(file) for file in files)


def _files(folder: Path, split: str) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_dir() and file.name == split:
            yield from sorted(f for f in file.rglob("*") if f.is_file() and _FILE.search(f.name))
        elif (found := _FILE.search(file.name)) and file.name[: found.start()] == split:
            yield file


def _read(file: TextFile, column: str, *, passages: bool) -> Iterator[str]:
    found = _FILE.search(file.name)
    if found is None:
        raise BadRecipe(f"{file.name} is no kind of text.", value=file.name, fix="Rename it.")
    try:
        with file.open() as data:
            if found["table"]:
                yield from _rows(file, data, column)
                return
            with _unpacked(data, found["packed"]) as lines:
                if found["kind"] == "jsonl":
                    yield from _json_lines(file, lines, column)
                elif passages:
                    yield from _passages(lines)
                else:
                    yield lines.read()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise BadRecipe(
            f"{file.name} cannot be read as text: {error}.",
            value=file.name,
            fix="Text is UTF-8, plain or packed with xz or gzip, or a parquet table.",
        ) from None


def _unpacked(data: IO[bytes], packed: str | None) -> IO[str]:
    openers: dict[str | None, Callable[[IO[bytes]], Any]] = {"xz": lzma.open, "gz": gzip.open}
    return io.TextIOWrapper(openers.get(packed, _plain)(data), encoding="utf-8")


def _plain(data: IO[bytes]) -> IO[bytes]:
    return data


def _rows(file: TextFile, data: IO[bytes], column: str) -> Iterator[str]:
    """The documents of a table; a row without one is left out."""
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(data)
    except arrow.ArrowException as error:
        raise OSError(str(error)) from None
    schema = table.schema_arrow
    at = schema.get_field_index(column)
    kind: Any = schema.field(at).type if at >= 0 else None
    if kind is None or not (arrow.types.is_string(kind) or arrow.types.is_large_string(kind)):
        texts = [f.name for f in schema if arrow.types.is_string(f.type)]
        raise BadRecipe(
            f"{file.name} has no column of text {column!r}.",
            value=column,
            fix=f"Name one of {', '.join(texts)}." if texts else "It has no column of text.",
        )
    for batch in table.iter_batches(batch_size=_ROWS, columns=[column]):
        yield from (text for text in batch.column(0).to_pylist() if text is not None)


def _json_lines(file: TextFile, lines: IO[str], column: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)[column]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise BadRecipe(
                f'Line {number} of {file.name} is not {{"{column}": "…"}}.',
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
        fix="Give a folder with train, calibration and heldout (.parquet, .jsonl or .txt, plain, "
        ".xz or .gz), or one such file.",
    )
