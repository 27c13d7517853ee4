"""Which representation of an address a request asks for: its Accept header alone decides.

An address that has a page and something for programs has a route for each, in app/pages and in
app/api. Which of the two answers is decided here, while the route is looked for.
"""

from enum import Enum, auto

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

VARY = {"Vary": "Accept"}
"""What every answer of such an address says to caches."""


class Representation(Enum):
    """The forms in which an address may be had."""

    PAGE = auto()
    JSON = auto()
    TAR = auto()


def preferred(headers: Headers) -> Representation:
    """The page for a browser, which names text/html before JSON; JSON for who names it; else tar.

    Where there is no tar, JSON stands for it.
    """
    accept = headers.get("accept", "")
    html, json = accept.find("text/html"), accept.find("application/json")
    if html >= 0 and (json < 0 or html < json):
        return Representation.PAGE
    return Representation.JSON if json >= 0 else Representation.TAR


class PageRoute(APIRoute):
    """A route for those who ask for a page; for all others the next of its address is taken."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this request is for it."""
        found = super().matches(scope)
        if found[0] is Match.NONE or preferred(Headers(scope=scope)) is Representation.PAGE:
            return found
        return Match.NONE, {}
