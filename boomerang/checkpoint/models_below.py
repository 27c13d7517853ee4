"""The folders below one that hold a model: a bounded walk, as nobody knows what else lies there."""

import os
from collections.abc import Iterator
from pathlib import Path

from boomerang.checkpoint.files import CONFIG

DEPTH, LOOKED_AT = 4, 2000
"""How deep it goes, and into how many folders at most."""


def models_below(root: Path) -> tuple[str, ...]:
    """Names of the folders below `root` with a config and safetensors, relative to it, sorted.

    Links that lead out of `root` are not followed, as no request may name what lies there.
    """
    return tuple(sorted(_walk(root.resolve())))


def _walk(root: Path) -> Iterator[str]:
    level = [root]
    left = LOOKED_AT
    for _ in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            if (left := left - 1) < 0:
                return
            files, folders = _entries(folder, root)
            if CONFIG in files and any(name.endswith(".safetensors") for name in files):
                if folder != root:
                    yield folder.relative_to(root).as_posix()
            else:
                below += folders
        level = below


def _entries(folder: Path, root: Path) -> tuple[set[str], list[Path]]:
    files, folders = set[str](), list[Path]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    files.add(entry.name)
                elif not entry.is_symlink() or _within(Path(entry.path), root):
                    folders.append(Path(entry.path))
    except OSError:
        # It may go, or be closed to us, while we look.
        return set(), []
    return files, sorted(folders)


def _within(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)
