"""What a model page of the Hub knows of a member: its card, config, tags and tensors.

Everything is read from the member's own files; a file that cannot be read says nothing here.
"""

import json
from collections import Counter
from datetime import UTC, datetime
from math import prod
from typing import Any

import yaml

from app.serving.volume import Volume
from boomerang.assembly.bytefile import ByteFile, Literal
from boomerang.catalog.records.families import NAMESPACE, Family, Member
from boomerang.checkpoint.files import CARD, CONFIG
from boomerang.checkpoint.sources import FileSource

SMALL_BYTES = 4 << 20
"""The largest config or template that is read for what it says."""

_AUTO_MODELS = {"text-generation": "AutoModelForCausalLM", "fill-mask": "AutoModelForMaskedLM"}
_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "chat_template")


def moment(seconds: float) -> str:
    """Unix seconds as the Hub writes a time: 2026-01-31T12:00:00.000Z."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def brief(repo: str, family: Family, member: Member, *, private: bool) -> dict[str, Any]:
    """What a list of models says of each: from the catalog alone, no file is opened."""
    tags = ["transformers", "safetensors", "boomerang", "boomerang-distillation"]
    tags += [f"license:{family.license}"] if family.license else []
    return {
        "_id": member.digest[:24], "id": repo, "modelId": repo, "author": NAMESPACE,
        "createdAt": moment(family.created),
        "lastModified": moment(max(family.updated, member.updated)),
        "private": private, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
        "library_name": "transformers", "pipeline_tag": "text-generation", "tags": tags,
    }  # fmt: skip


def full(volume: Volume) -> dict[str, Any]:
    """What the files of a member add to that."""
    readme = volume.files.get(CARD)
    parts = readme.read().decode().split("---\n", 2) if readme else []
    said = yaml.safe_load(parts[1]) if len(parts) == 3 else None
    card = said if isinstance(said, dict) else {}
    config, pipeline = _json(volume.files.get(CONFIG)), card.get("pipeline_tag", "text-generation")
    found: dict[str, Any] = {
        "sha": volume.revision, "pipeline_tag": str(pipeline),
        "library_name": str(card.get("library_name", "transformers")), "cardData": card,
        "config": _config(volume, config), "tags": _tags(card, config),
        "safetensors": tensors(volume), "spaces": [],
        "usedStorage": sum(file.size for file in volume.files.values()),
        "transformersInfo": {"auto_model": _AUTO_MODELS.get(str(pipeline), "AutoModel"),
                             "pipeline_tag": str(pipeline), "processor": "AutoTokenizer"},
    }  # fmt: skip
    return found | ({"model-index": card["model-index"]} if "model-index" in card else {})


def tensors(volume: Volume) -> dict[str, Any]:
    """Parameters by dtype, from the headers of the weights."""
    counts: Counter[str] = Counter()
    for name, file in volume.files.items():
        if name.endswith(".safetensors"):
            length = int.from_bytes(file.read(0, 8), "little")
            header = json.loads(file.read(8, 8 + length))
            header.pop("__metadata__", None)
            for entry in header.values():
                counts[entry["dtype"]] += prod(entry["shape"])
    return {"parameters": dict(counts), "total": counts.total()}


def _config(volume: Volume, config: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {k: config[k] for k in ("architectures", "model_type") if k in config}
    said = _json(volume.files.get("tokenizer_config.json"))
    tokenizer = {key: said[key] for key in _TOKENS if key in said}
    template = _bytes(volume.files.get("chat_template.jinja"))
    if template:
        tokenizer["chat_template_jinja"] = template.decode("utf-8", "replace")
    return {**shown, "tokenizer_config": tokenizer}


def _tags(card: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """The tags that the Hub would derive, in its order."""
    relation = card.get("base_model_relation")
    found = [card.get("library_name"), "safetensors", config.get("model_type")]
    found += [card.get("pipeline_tag"), *_listed(card, "tags"), *_listed(card, "language")]
    found += [f"dataset:{name}" for name in _listed(card, "datasets")]
    for base in _listed(card, "base_model"):
        found += [f"base_model:{base}"]
        found += [f"base_model:{relation}:{base}"] if relation else []
    found += [f"license:{card['license']}"] if card.get("license") else []
    return list(dict.fromkeys(str(tag) for tag in found if tag))


def _listed(card: dict[str, Any], key: str) -> list[Any]:
    value = card.get(key) or []
    return value if isinstance(value, list) else [value]


def _bytes(file: ByteFile | None) -> bytes:
    """A small file of this machine, else nothing: who asks for facts does not wait for the Hub."""
    if file is None or file.size > SMALL_BYTES:
        return b""
    sources = [piece.source for piece in file.pieces if not isinstance(piece, Literal)]
    here = all(isinstance(source, FileSource) for source in sources)
    return file.read() if here else b""


def _json(file: ByteFile | None) -> dict[str, Any]:
    """A JSON object among the files; teachers bring files of every kind."""
    try:
        found = json.loads(_bytes(file))
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
