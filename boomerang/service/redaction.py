"""No answer tells where on this machine something lies, or a token, whatever an error says."""

import math
import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from boomerang.processes.redacted import without_tokens
from boomerang.service.settings import Settings

LONGEST = 2000
"""Characters of one text; a request's own megabytes are not sent back."""
DEEPEST = 50
"""How deep a record is followed; a request may nest hundreds of lists, and no fault comes of it."""
WIDEST, SHOWN_DEEP = 100, 8
"""So many parts of a list or record that came with a request are sent back, and so deep."""
METHODS = ("GET", "HEAD", "POST", "DELETE")
"""What our own addresses are written after, wherever a text names one."""

_BEFORE = r"(?<![\w.~%\]-])" + "".join(rf"(?<!\b{method} )" for method in METHODS)
_AFTER = r"(?![\w-]|\.\w)"


class Redactor:
    """Takes the service's folders out of what was said, naming their settings, and tokens.

    For texts and records, before addresses of ours are put beside them: a folder may be called
    as one of our routes is.
    """

    def __init__(self, settings: Settings) -> None:
        names = {
            str(Path.home()): "~",
            str(settings.data): "$BOOMERANG_DATA",
            str(settings.models): "$BOOMERANG_MODELS",
            str(settings.home): "$BOOMERANG_HOME",
        }
        found = {path: name for path, name in names.items() if Path(path).is_absolute()}
        real = {os.path.realpath(path): name for path, name in found.items()}
        self._names = {path: name for path, name in (real | found).items() if path != "/"}
        # Longest first, or a folder above another would leave a part of it behind.
        paths = "|".join(map(re.escape, sorted(self._names, key=len, reverse=True)))
        # A path begins where no other path goes on, and no address: http://host/models is none.
        self._paths = re.compile(f"{_BEFORE}(?:{paths}){_AFTER}") if paths else None

    def __call__(self, value: Any) -> Any:
        """The same value as JSON can hold it, without those folders."""
        return _held(value, self._text, DEEPEST)

    def value(self, value: Any) -> Any:
        """What an error is about: what lies below BOOMERANG_MODELS as requests name it."""
        shown = _held(_part(value), self._text, DEEPEST)
        return shown.removeprefix("$BOOMERANG_MODELS/") if isinstance(shown, str) else shown

    def _text(self, text: str) -> str:
        if self._paths is not None:
            text = self._paths.sub(lambda found: self._names[found[0]], text)
        return _short(without_tokens(text))


def given(value: Any) -> Any:
    """What a client sent, as JSON can hold it: nothing in it is news to the client."""
    return _held(_part(value), _short, DEEPEST)


def _part(value: Any, deep: int = SHOWN_DEEP) -> Any:
    """As much of a value as tells which one it is."""
    if not isinstance(value, Mapping | list | tuple):
        return value
    if deep == 0:
        return "…"
    if isinstance(value, Mapping):
        first = islice(value.items(), WIDEST)
        return {key: _part(item, deep - 1) for key, item in first}
    return [_part(item, deep - 1) for item in value[:WIDEST]]


def _held(value: Any, text: Any, deep: int) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping | list | tuple) and deep == 0:
        return "…"
    if isinstance(value, Mapping):
        return {text(str(key)): _held(item, text, deep - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_held(item, text, deep - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return "a number of more than 64 bits"
    return value if isinstance(value, int | float | None) else text(str(value))


def _short(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
