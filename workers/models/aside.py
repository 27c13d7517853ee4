"""Where what was found damaged is put: beside its place, with the reason, and never deleted."""

import time
from pathlib import Path

ASIDE = "set-aside"
"""The folder, beside students or teachers, of those that were found damaged."""


def put_aside(folder: Path, number: int, what: str, why: str) -> str:
    """Give a damaged folder another name, with the reason beside it; return that name.

    Readers that have it open keep what they have.
    """
    aside = folder.parent / ASIDE / f"{folder.name}.{number}"
    aside.parent.mkdir(exist_ok=True)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    aside.with_name(f"{aside.name}.txt").write_text(f"{when}: {what}: {why}\n")
    folder.rename(aside)
    return f"{ASIDE}/{aside.name}"
