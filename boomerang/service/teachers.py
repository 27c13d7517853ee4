"""Models that somebody who types may mean: folders of this machine, and what the Hub finds."""

import time
from typing import Any

from boomerang.checkpoint.models_below import models_below
from boomerang.hub.find import search
from boomerang.service.settings import Settings

SHOWN = 8
"""Models of each kind that are told at a time."""
KNOWN_SECONDS = 10.0
"""How long what a walk through the folders found is taken to be what is there."""
SHORTEST = 2
"""The letters from which on the Hub is asked."""


class Teachers:
    """What may be named as a teacher. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._walked, self._folders = -KNOWN_SECONDS, tuple[str, ...]()

    def folders(self, text: str) -> list[dict[str, Any]]:
        """Folders below BOOMERANG_MODELS with a model whose name has the text."""
        root = self._settings.models
        if root is None:
            return []
        if time.monotonic() - self._walked > KNOWN_SECONDS:
            self._folders = models_below(root)
            self._walked = time.monotonic()
        wanted = text.casefold().strip()
        found = [name for name in self._folders if wanted in name.casefold()]
        return [{"name": name, "kind": "folder", "parameters": None} for name in found[:SHOWN]]

    def hub(self, text: str) -> list[dict[str, Any]]:
        """Models of the Hub. Raises as `search`."""
        if len(text.strip()) < SHORTEST:
            return []
        hits = search(text.strip(), SHOWN, self._settings.hub_endpoint)
        return [{"name": h.name, "kind": "hub", "parameters": h.parameters} for h in hits]
