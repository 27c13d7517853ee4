"""A card as a page shows it: Markdown made into HTML that is ours, its metadata as rows.

What a card says comes from configs and cards of others: HTML in it is shown as text, links lead
only to the web, and of pictures only those that are drawn here are shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_FOLDED = re.compile(r"<details><summary>([^<>\n]*)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)
"""What our own cards fold away: the only HTML in them."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
BELOW = 2
"""By how many levels the headings of a card stand below those of the page."""


@dataclass(frozen=True)
class Readme:
    """A card: its metadata in the order of its front matter, and its text as HTML."""

    metadata: tuple[tuple[str, str], ...]
    html: Markup


def readme(text: str, drawings: Mapping[str, str]) -> Readme:
    """A card as it is shown; `drawings` are the SVGs that stand for its pictures, by name."""
    return _readme(text, tuple(sorted(drawings.items())))


@lru_cache(maxsize=64)
def _readme(text: str, drawn: tuple[tuple[str, str], ...]) -> Readme:
    drawings = dict(drawn)
    front = _FRONT.match(text)
    body = text[front.end() :] if front else text
    parts: list[str] = []
    at = 0
    for folded in _FOLDED.finditer(body):
        parts.append(_html(body[at : folded.start()], drawings, len(parts)))
        inner = _html(folded[2], drawings, len(parts))
        parts.append(f"<details><summary>{escape(folded[1])}</summary>{inner}</details>")
        at = folded.end()
    parts.append(_html(body[at:], drawings, len(parts)))
    metadata = tuple(_rows(front[1])) if front else ()
    return Readme(metadata, Markup("".join(parts)))  # noqa: S704 - made here, from escaped text


def _rows(front: str) -> list[tuple[str, str]]:
    """The front matter as it is read by the Hub: each key with its value in words."""
    found = yaml.load(front, _LOADER)  # noqa: S506 - a safe one
    if not isinstance(found, dict):
        return []
    return [(str(key), _value(value)) for key, value in found.items()]


def _value(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        results = sum(len(one.get("results", ())) for one in value)
        return f"{results} results" if results else f"{len(value)} entries"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _html(text: str, drawings: Mapping[str, str], part: int) -> str:
    rendered: str = _markdown().render(text, {"drawings": drawings, "part": part})
    return rendered


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.core.ruler.push("below", _below)
    made.add_render_rule("image", _image)
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


def _below(state: Any) -> None:
    """Headings under those of the page, links that tell nobody where they were followed, and
    columns set to the right by a class: pages allow no style of their own.
    """
    for token in state.tokens:
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "right")
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + BELOW)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer")


def _image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any
) -> str:
    drawn: str = env["drawings"].get(str(tokens[index].attrGet("src")), "")
    return drawn or str(escape(tokens[index].content))


def _table_open(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any
) -> str:
    # Whoever reads it by its regions can tell them apart.
    name = f"table {env['part']}.{index}"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"
