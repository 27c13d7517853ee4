"""What a model's card and licence say of it: under which terms it is, for which languages."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import yaml

from boomerang.checkpoint.files import CARD, CHAT_TEMPLATE, TOKENIZER_CONFIG, is_licence
from boomerang.checkpoint.table import Checkpoint

_MOST = 1 << 20
"""Bytes of a card or licence, at most, that are looked at; and eight times as many of a tokenizer's
config, which may list every token."""

_TITLES = {
    r"apache license\s+version 2\.0": "apache-2.0",
    r"(the )?mit license": "mit",
    r"bsd 3-clause": "bsd-3-clause",
    r"gnu affero general public license\s+version 3": "agpl-3.0",
    r"gnu general public license\s+version 3": "gpl-3.0",
    r"(creative commons )?attribution(-noncommercial)?(-noderiv\w+|-sharealike)? 4\.0": "cc-by",
}
"""How the text of a licence begins, and what the Hub calls it."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a model beside its weights; `chat`: that it has a chat template.

    `license` is the Hub's name of a licence, `license_name` and `license_link` say which where that
    is `other`. `datasets` and `base_model` are ids on the Hub.
    """

    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    language: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    base_model: tuple[str, ...] = ()
    chat: bool = False

    @classmethod
    def of_card(cls, card: Mapping[str, Any], *, chat: bool = False) -> Self:
        """From the metadata of a card; what is not of the kind that it should be is left out."""
        return cls(
            license=_text(card.get("license")),
            license_name=_text(card.get("license_name")),
            license_link=_text(card.get("license_link")),
            language=_languages(card.get("language")),
            datasets=_texts(card.get("datasets")),
            base_model=_texts(card.get("base_model")),
            chat=chat,
        )

    @classmethod
    def of_files(cls, checkpoint: Checkpoint) -> Self:
        """From the README.md, the licence and the chat template beside the weights."""
        card = {**_of_licence(checkpoint), **_front_matter(_read(checkpoint, CARD, _MOST))}
        config = _read(checkpoint, TOKENIZER_CONFIG, 8 * _MOST)
        chat = CHAT_TEMPLATE in checkpoint.files or '"chat_template"' in config
        return cls.of_card(card, chat=chat)

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Self:
        """From what `json` made."""
        return cls.of_card(said, chat=bool(said.get("chat")))

    def json(self) -> dict[str, Any]:
        """What is said, as JSON."""
        return {name: value for name, value in asdict(self).items() if value}


def _read(checkpoint: Checkpoint, name: str, most: int) -> str:
    source = checkpoint.files.get(name)
    if source is None or source.size > most:
        return ""
    return source.read(0, source.size).decode("utf-8", "replace")


def _front_matter(text: str) -> dict[str, Any]:
    parts = text.replace("\r\n", "\n").split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        found = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _of_licence(checkpoint: Checkpoint) -> dict[str, Any]:
    """The metadata that the text of a licence stands for, where no card says more."""
    name = next(filter(is_licence, sorted(checkpoint.files)), None)
    text = _read(checkpoint, name, _MOST).strip() if name else ""
    if not text:
        return {}
    for title, called in _TITLES.items():
        if found := re.match(title, text, re.IGNORECASE):
            return {"license": called if called != "cc-by" else _creative_commons(found[0])}
    return {"license": "other", "license_name": text.splitlines()[0].strip()[:80],
            "license_link": name}  # fmt: skip


def _creative_commons(title: str) -> str:
    parts = {"noncommercial": "-nc", "noderiv": "-nd", "sharealike": "-sa"}
    return "cc-by" + "".join(s for part, s in parts.items() if part in title.lower()) + "-4.0"


def _languages(value: object) -> tuple[str, ...]:
    """Their codes; an unquoted `no`, which is Norwegian, is what YAML reads as false."""
    items = value if isinstance(value, list | tuple) else [value]
    return _texts(["no" if item is False else item for item in items])


def _text(value: object) -> str | None:
    """The first of what a card gives as one name or as a list of them."""
    texts = _texts(value)
    return texts[0] if texts else None


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(item for item in items if isinstance(item, str) and item)
