"""The addresses of the Hub's interface: a revision may hold slashes, written %2F or plain."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request

MAIN = "main"
BRANCH = "refs/heads/main"


def parts_after(request: Request, count: int) -> list[str]:
    """The parts of the path behind the first `count`, as the client divided them.

    The framework decodes %2F before it routes, so that `refs%2Fheads%2Fmain` looks like three
    parts: they are taken from the path as it was sent.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.url.path).encode()
    parts = raw.decode("latin-1").split("?")[0].split("/")[1:]
    passed = 0
    while passed < count and parts:
        passed += unquote(parts.pop(0)).count("/") + 1
    return [unquote(part) for part in parts]


def split_revision(parts: list[str]) -> tuple[str, str]:
    """A revision and the path behind it; `refs/heads/main` may also be written in three parts."""
    length = 3 if parts[:1] == ["refs"] else 1
    return "/".join(parts[:length]), "/".join(parts[length:])


Handler = Callable[..., Any]


def reads(
    router: APIRouter, path: str, model: Any = None, **described: Any
) -> Callable[[Handler], Handler]:
    """A route for GET, and for HEAD as mirrors ask; `described` is what its contract says."""

    def install(handler: Handler) -> Handler:
        router.head(path, response_model=None, include_in_schema=False)(handler)
        router.get(path, response_model=model, **described)(handler)
        return handler

    return install
