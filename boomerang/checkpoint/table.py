"""A safetensors checkpoint as a table: tensor name → dtype, shape, byte range. Headers only.

No weight is read here. A header is believed only after it has been checked against the size of
its file: offsets that overlap, leave holes, pass the end or disagree with a shape are refused.
Format: https://github.com/huggingface/safetensors#format
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from boomerang.checkpoint.files import CONFIG, INDEX, OTHER_WEIGHTS, SINGLE
from boomerang.checkpoint.header import Tensor, corrupt, parse_header, read_json
from boomerang.checkpoint.sources import FileSource, Source
from boomerang.errors import CorruptCheckpoint, NoSafetensors, TeacherNotFound

K = TypeVar("K")


@dataclass(frozen=True)
class Checkpoint:
    """A model's config, its tensors, and the other files beside them (tokenizer, licence, …).

    `commit` is the Hub's, of what is read from there.
    """

    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    files: Mapping[str, Source] = field(default_factory=dict)
    commit: str | None = None

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> "Checkpoint":
        """Read the headers of a local folder.

        Raises TeacherNotFound (no such folder or no config), NoSafetensors, CorruptCheckpoint.
        """
        if not folder.is_dir():
            raise TeacherNotFound(
                f"There is no folder {str(folder)!r}.",
                value=str(folder),
                fix="Give a folder with config.json and safetensors, or a Hub repo id.",
            )
        # Of subfolders only the one that transformers reads beside a tokenizer.
        paths = [*folder.iterdir(), *folder.glob("additional_chat_templates/*.jinja")]
        found = {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
        sources: dict[str, Source] = {n: FileSource.of(path) for n, path in sorted(found.items())}
        return cls.read(name or folder.resolve().name, sources)

    @classmethod
    def read(
        cls, name: str, files: Mapping[str, Source], commit: str | None = None
    ) -> "Checkpoint":
        """Read the headers of a checkpoint whose files are given by name.

        Raises as `open`.
        """
        if CONFIG not in files:
            raise TeacherNotFound(
                f"{name!r} has no config.json, so it is no transformers model.",
                value=name,
                fix="Name a model repository or a folder made by save_pretrained.",
            )
        config = read_json(files[CONFIG])
        tensors: dict[str, Tensor] = {}
        shards = _shards(name, files)
        for shard, promised in shards.items():
            stored = parse_header(files[shard])
            if promised is not None and stored.keys() != promised:
                raise CorruptCheckpoint(
                    f"{shard} and the index disagree: missing "
                    f"{sorted(promised - stored.keys())[:5]}, "
                    f"unexpected {sorted(stored.keys() - promised)[:5]}.",
                    value=shard,
                    fix="Download or save the checkpoint again.",
                )
            twice = tensors.keys() & stored.keys()
            if twice:
                raise CorruptCheckpoint(
                    f"{min(twice)!r} of {name!r} is stored in more than one shard.",
                    value=min(twice),
                    fix="Save the checkpoint again.",
                )
            tensors.update(stored)
        others = {f: source for f, source in files.items() if f not in shards and f != INDEX}
        return cls(name, config, tensors, others, commit)

    @property
    def parameters(self) -> int:
        """Number of stored elements, buffers included."""
        return sum(tensor.parameters for tensor in self.tensors.values())

    def json(self, file: str) -> dict[str, Any] | None:
        """The content of a JSON file beside the weights, or None where there is none."""
        return read_json(self.files[file]) if file in self.files else None


def _shards(name: str, files: Mapping[str, Source]) -> dict[str, set[str] | None]:
    """The weight files, each with the tensors that the index promises (None without an index)."""
    if SINGLE in files:
        # As transformers does: a single file goes before an index beside it.
        return {SINGLE: None}
    if INDEX in files:
        promised: dict[str, set[str] | None] = {}
        weight_map = read_json(files[INDEX]).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise corrupt(files[INDEX], "it has no weight_map")
        for tensor, shard in weight_map.items():
            if not isinstance(shard, str) or shard not in files:
                raise CorruptCheckpoint(
                    f"{name!r} lacks the shard {shard!r} that its index names.",
                    value=shard,
                    fix="Download or copy the checkpoint again.",
                )
            names = promised.setdefault(shard, set())
            if names is not None:
                names.add(tensor)
        return promised
    other = sorted(f for f in files if f.endswith(OTHER_WEIGHTS))
    raise NoSafetensors(
        f"{name!r} has no {SINGLE}" + (f", only {other[0]}." if other else "."),
        value=name,
        fix="Convert it first: load it and call save_pretrained, which writes safetensors.",
    )


def put_once(checkpoint: Checkpoint, tensors: dict[K, Tensor], key: K, tensor: Tensor) -> None:
    """Put a tensor under a key. Raises CorruptCheckpoint where another one stands there."""
    if key in tensors:
        raise CorruptCheckpoint(
            f"{tensor.name!r} and {tensors[key].name!r} are the same tensor of "
            f"{checkpoint.name!r}.",
            value=tensor.name,
            fix="Save the model again with transformers 5.",
        )
    tensors[key] = tensor
