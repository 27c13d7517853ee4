"""What pages load: style sheets, scripts and icons, at addresses that change when they do.

A browser that is told nothing keeps a file for as long as it likes, and shows a new page with an
old script. So the addresses that templates name have the version of all files in them, and what is
there is kept for good; modules find what they import beside themselves, at the same version.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from jinja2.ext import Extension
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
PATH = "/static"
FOR_GOOD, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
_NAMED = re.compile(rf'(?<=["\']){PATH}/(?!swagger/)')
_OTHER = re.compile(r"^[0-9a-f]{8}/")


@cache
def version() -> str:
    """Eight hex digits that are others when any of the files is."""
    digest = hashlib.sha256()
    for file in sorted(one for one in FOLDER.rglob("*") if one.is_file()):
        digest.update(file.relative_to(FOLDER).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:8]


def versioned() -> str:
    """The path below which the files are as they are now."""
    return f"{PATH}/{version()}"


class Assets(StaticFiles):
    """The files, with what browsers are told about keeping them."""

    def __init__(self, keep: str) -> None:
        super().__init__(directory=FOLDER)
        self._keep = keep

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or that it has not changed. Raises HTTPException where there is none."""
        # A page of another version, before or behind this one, gets what there is.
        answer = await super().get_response(_OTHER.sub("", path), scope)
        answer.headers["Cache-Control"] = self._keep
        return answer


class Addressed(Extension):
    """Has templates name files by their addresses of this version."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source of a template with versions in it."""
        return _NAMED.sub(f"{versioned()}/", source)
