"""No answer tells where on this machine something lies, whatever an error's text says."""

import math
import os
from pathlib import Path
from typing import Any

from boomerang.service.settings import Settings

LONGEST = 2000
"""Characters of one text; a request's own megabytes are not sent back."""


class Redactor:
    """Takes the folders of the service, and those above them, out of anything that is sent."""

    def __init__(self, settings: Settings) -> None:
        folders = {settings.home, settings.models, settings.data, Path.home()}
        found = {str(path) for path in folders if path is not None and len(path.parts) > 1}
        found |= {os.path.realpath(folder) for folder in found}
        # Longest first, or a folder above another would leave a part of it behind.
        self._folders = sorted(found, key=len, reverse=True)

    def __call__(self, value: Any) -> Any:
        """The same value as JSON can hold it, without those folders."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self(str(key)): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            return "a number of more than 64 bits"
        return value if isinstance(value, int | float | None) else self._text(str(value))

    def _text(self, text: str) -> str:
        for folder in self._folders:
            text = text.replace(f"{folder}/", "").replace(folder, Path(folder).name)
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
