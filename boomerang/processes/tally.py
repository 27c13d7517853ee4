"""How often something happened in this process, by what it was; read by whoever shows figures.

What happens deep below is counted where it happens, without a library that shows it.
"""

import threading
from collections import Counter
from typing import Literal

What = Literal["setbacks", "leases_lost", "child_kills", "sent_again"]

_LOCK = threading.Lock()
_COUNTS: dict[What, Counter[str]] = {}


def add(what: What, kind: str = "") -> None:
    """It happened once more."""
    with _LOCK:
        _COUNTS.setdefault(what, Counter())[kind] += 1


def counts(what: What) -> dict[str, int]:
    """How often it has happened since this process began, by kind."""
    with _LOCK:
        return dict(_COUNTS.get(what, ()))
