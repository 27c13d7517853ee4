"""The names of the evaluation harness's tasks, read from its files: it is not imported.

Importing it takes seconds and needs torch's ecosystem, which the front end does without; for names
it is enough that its files are there (`pip install --no-deps lm-eval`).
"""

import difflib
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

from boomerang.errors import BadTask

HOW = "pip install 'boomerang[tasks]'"
"""How the harness is installed."""
_NAME = re.compile(rb"^[\"']?(?:task|group)[\"']? *: *[\"']?([^\s\"'#\[\]]+)", re.MULTILINE)
_TAGS = re.compile(rb"^[\"']?tag[\"']? *: *(.*(?:\n *- .*|\n +.*)*)", re.MULTILINE)
_WORD = re.compile(r"[^\s\"'#\[\],]{2,}")
_NEAREST = 5


def harness_version() -> str | None:
    """The version of lm-eval that is installed, None where it is not."""
    try:
        return metadata.version("lm-eval")
    except metadata.PackageNotFoundError:
        return None


def check(names: Sequence[str], folder: Path | None) -> None:
    """Raise BadTask for the first name that is no task, group or tag, with the nearest ones.

    `folder` holds tasks of one's own as YAML files. Raises BadTask too where lm-eval is not
    installed, or the folder is none.
    """
    spec = util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise BadTask(
            "Tasks need lm-eval, which is not installed here.", value="lm-eval", fix=f"{HOW}."
        )
    if folder is not None and not folder.is_dir():
        raise BadTask(
            f"{str(folder)!r} is no folder of tasks.",
            value=str(folder),
            fix="Name a folder with a YAML file for each task.",
        )
    own = _names(folder) if folder is not None else frozenset()
    unknown = [name for name in names if name not in own]
    if not unknown:
        return
    known = _shipped(Path(spec.origin).parent / "tasks") | own
    for name in unknown:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), _NEAREST, 0.6)
            fix = f"The nearest: {', '.join(near)}." if near else "`lm-eval ls tasks` lists them."
            raise BadTask(f"There is no task {name!r}.", value=name, fix=fix)


@lru_cache(maxsize=1)
def _shipped(folder: Path) -> frozenset[str]:
    return _names(folder)


def _names(folder: Path) -> frozenset[str]:
    """Every task, group and tag that the YAML files below a folder name."""
    found: set[str] = set()
    for path in folder.rglob("*"):
        # A template that others include, with the tags in it, has no suffix.
        if path.suffix not in ("", ".yaml") or path.is_dir():
            continue
        content = path.read_bytes()
        found.update(name.decode(errors="replace") for name in _NAME.findall(content))
        for tags in _TAGS.findall(content):
            found.update(_WORD.findall(tags.decode(errors="replace")))
    return frozenset(found)
