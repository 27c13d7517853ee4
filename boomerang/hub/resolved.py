"""A model of the Hub at one commit: its files, its terms, what it was made from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from boomerang.checkpoint.files import INDEX, SINGLE, WEIGHTS, travels


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model at one commit. `files` are sizes in bytes, `sha256` the digests that are known."""

    repo_id: str
    commit: str
    private: bool
    gated: bool
    license: str | None
    files: Mapping[str, int]
    license_name: str | None = None
    license_link: str | None = None
    base_model: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    endpoint: str | None = None

    @property
    def travelling(self) -> dict[str, int]:
        """The files that travel; of two sets of weights, the one that transformers would load."""
        found = {name: size for name, size in self.files.items() if travels(name)}
        if SINGLE in found:
            shards = [n for n in found if re.fullmatch(WEIGHTS, n) and n != SINGLE]
            for name in [*shards, INDEX]:
                found.pop(name, None)
        return found
