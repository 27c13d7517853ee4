"""The text a family is distilled and measured on: three splits, and a digest of all of it.

No torch here: the front end digests texts to compute keys.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from boomerang.errors import BadRecipe
from boomerang.texts.conversations import TEXT, Conversation, DataKind, Document
from boomerang.texts.datasets import SCHEME, Dataset
from boomerang.texts.files import NAME, LocalFile, TextFile, kind_of, read

Split = Literal["train", "calibration", "heldout"]
SPLITS: tuple[Split, ...] = ("train", "calibration", "heldout")

_NAMED: dict[Split, re.Pattern[str]] = {
    "train": re.compile(r"(^|[/._-])train"),
    "calibration": re.compile(r"(^|[/._-])(calibration|validation|valid|val|dev)([/._-]|$)"),
    "heldout": re.compile(r"(^|[/._-])(heldout|test)"),
}
"""How the files of a dataset on the Hub name their split."""
_CALIBRATION, _HELDOUT = 0.05, 0.10
_HELD = 2048
"""Documents, at most, of the splits of a dataset on the Hub that are not trained on."""
_LOOKED_AT = 16
"""Files of a dataset on the Hub, at most, that are looked into for what they hold."""


@dataclass(frozen=True)
class Texts:
    """Documents of the three splits.

    Where `dealt` is true, the same files serve all splits, and a hash of each document says to
    which it belongs (90 % train, 5 % calibration, 5 % held out). `location` opens the same text
    again; `column` names the documents in rows. A dataset on the Hub is `remote`: it is read as
    it is needed. Text from several places has `parts` and no files of its own; a document of each
    comes in turn.
    """

    name: str
    location: str
    files: dict[Split, tuple[TextFile, ...]]
    dealt: bool
    column: str = TEXT
    remote: bool = False
    parts: tuple["Texts", ...] = ()

    @classmethod
    def open(cls, path: Path | str) -> "Texts":
        """A folder with `train.*`, `calibration.*` and `heldout.*`, or one file.

        Each is a `.jsonl` file whose lines are `{"text": document}`, a `.txt` file of one
        document, either of them packed (`.xz`, `.gz`), a `.parquet` table with a column `text`,
        or a folder of such files. Lines and tables may hold conversations instead
        (`conversations.py`), in files of their own. A name that begins with `hf://datasets/` is a
        dataset on the Hub, as `Dataset.location` writes it; a JSON list of such names is all of
        them together. Raises BadRecipe where there is no text, HubFailure.
        """
        if len(several := locations(path)) > 1:
            return cls.joined([cls.open(one) for one in several])
        if str(path).startswith(SCHEME):
            return cls.of_dataset(Dataset.parse(str(path)))
        path = Path(path)
        if path.is_file() and NAME.search(path.name):
            return cls._dealt(path, (path,))
        if path.is_dir():
            found: dict[Split, tuple[Path, ...]] = {s: tuple(_files(path, s)) for s in SPLITS}
            if all(found.values()):
                local = {split: _local(files) for split, files in found.items()}
                return cls(path.name, str(path), local, dealt=False)
            missing = [split for split, files in found.items() if not files]
            every = tuple(sorted(f for f in path.iterdir() if f.is_file() and NAME.search(f.name)))
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
        usable = [file for file in listed if NAME.search(file.name)]
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
            pinned.id, pinned.location, found, not split_up, pinned.column or TEXT, remote=True
        )

    @classmethod
    def joined(cls, parts: Sequence["Texts"]) -> "Texts":
        """Text from several places, as plain text from one and conversations from another."""
        if len(parts) == 1:
            return parts[0]
        location = json.dumps([part.location for part in parts])
        name = " and ".join(part.name for part in parts)
        return cls(name, location, dict.fromkeys(SPLITS, ()), dealt=False, parts=tuple(parts))

    @classmethod
    def _dealt(cls, path: Path, files: tuple[Path, ...]) -> "Texts":
        return cls(path.name, str(path), dict.fromkeys(SPLITS, _local(files)), dealt=True)

    def size(self, split: Split) -> int:
        """Bytes of the files that have the split's documents, packed where they are packed."""
        own = sum(file.size for file in self.files[split])
        return own + sum(part.size(split) for part in self.parts)

    def documents(self, split: Split, kind: DataKind | None = None) -> Iterator[Document]:
        """The documents of one split, in order, those that are empty left out.

        Of one `kind` alone where that is given. Raises BadRecipe for a file that is not what its
        name says.
        """
        if self.parts:
            yield from _in_turn([part.documents(split, kind) for part in self.parts])
            return
        held = self.remote and split != "train"
        yield from islice(self._documents(split, kind), _HELD if held else None)

    def _documents(self, split: Split, kind: DataKind | None) -> Iterator[Document]:
        single = self.dealt and len(self.files[split]) == 1
        for file in self.files[split]:
            for document in read(file, self.column, passages=single, kind=kind):
                if isinstance(document, str) and not document.strip():
                    continue
                if not self.dealt or _dealt_to(document) == split:
                    yield document

    def lacks(self, kind: DataKind) -> bool:
        """Whether there is nothing of a kind to train on, as far as the files' beginnings say.

        Of a dataset on the Hub a few files are looked into. Raises BadRecipe as `documents`.
        """
        if self.parts:
            return all(part.lacks(kind) for part in self.parts)
        files = self.files["train"]
        if self.remote and len(files) > _LOOKED_AT:
            return False
        return all(kind_of(file, self.column) != kind for file in files)

    @cached_property
    def digest(self) -> str:
        """32 hex digits over every byte of every split; on the Hub the commit stands for them."""
        return self.digest_by(lambda file: file.sha256)

    def digest_by(self, sha256: Callable[[TextFile], str]) -> str:
        """As `digest`; `sha256` gives that of a file, or what stands for it."""
        if self.parts:
            every = " ".join(part.digest_by(sha256) for part in self.parts)
            return hashlib.sha256(f"joined {every}".encode()).hexdigest()[:32]
        if self.remote:
            return hashlib.sha256(self.location.encode()).hexdigest()[:32]
        total = hashlib.sha256(b"dealt" if self.dealt else b"split")
        for split in SPLITS[:1] if self.dealt else SPLITS:
            for file in self.files[split]:
                total.update(f"\n{split} {Path(file.name).suffixes} {sha256(file)}".encode())
        return total.hexdigest()[:32]

    def local(self) -> Iterator[LocalFile]:
        """Its files on this machine."""
        for part in self.parts:
            yield from part.local()
        every = dict.fromkeys(file for split in SPLITS for file in self.files[split])
        yield from (file for file in every if isinstance(file, LocalFile))


def locations(location: Path | str) -> list[str]:
    """The places that a location of text names: one, or those of a JSON list."""
    return list(json.loads(str(location))) if str(location).startswith('["') else [str(location)]


def _in_turn(found: list[Iterator[Document]]) -> Iterator[Document]:
    while found:
        for documents in [*found]:
            document = next(documents, None)
            if document is None:
                found.remove(documents)
            else:
                yield document


def _local(files: tuple[Path, ...]) -> tuple[TextFile, ...]:
    return tuple(LocalFile(file) for file in files)


def _files(folder: Path, split: str) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.is_dir() and file.name == split:
            yield from sorted(f for f in file.rglob("*") if f.is_file() and NAME.search(f.name))
        elif (found := NAME.search(file.name)) and file.name[: found.start()] == split:
            yield file


def _dealt_to(document: Document) -> Split:
    # A hash, not a counter: a document stays in its split when others are added.
    if isinstance(document, Conversation):
        document = json.dumps(document.messages, sort_keys=True, default=str)
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
