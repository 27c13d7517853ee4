"""Models that somebody who types may mean: folders of this machine, and what the Hub finds."""

import time
from typing import Any

from boomerang.checkpoint.models_below import models_below
from boomerang.hub.find import Found, find, search
from boomerang.service.settings import Settings

SHOWN = 8
"""Models of each kind that are told at a time."""
KNOWN_SECONDS = 10.0
"""How long what a walk through the folders found is taken to be what is there."""
LOOKED_AT_SECONDS = 60.0
"""How long headers of the Hub are taken to be what they were: while somebody fills in a form."""
MOST_LOOKED_AT = 4
"""Models of the Hub whose headers are kept so; those of a large one are some megabytes."""
SHORTEST = 2
"""The letters from which on the Hub is asked."""


class Teachers:
    """What may be named as a teacher. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._walked, self._folders = -KNOWN_SECONDS, tuple[str, ...]()
        self._looked_at: dict[tuple[str, str | None], tuple[float, Found]] = {}

    def find(self, name: str, revision: str | None = None) -> Found:
        """The model of a name, for a look at it: one of the Hub as it was a minute ago at most.

        Raises as `hub.find.find`.
        """
        key, now = (name, revision), time.monotonic()
        when, found = self._looked_at.get(key, (0.0, None))
        if found is not None and now - when < LOOKED_AT_SECONDS:
            return found
        settings = self._settings
        found = find(name, revision, folders=settings.folders, endpoint=settings.hub_endpoint)
        if found.resolved is not None:
            kept = [*self._looked_at.items(), (key, (now, found))]
            fresh = [(k, one) for k, one in kept if now - one[0] < LOOKED_AT_SECONDS]
            self._looked_at = dict(fresh[-MOST_LOOKED_AT:])
        return found

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
