"""What a key needs for a method at an address: a form what the API needs that it stands for."""

import re

from boomerang.catalog.records.keys import KeyScope

WEBHOOK = "/webhooks/hub"
LOGIN, LOGOUT, FORMS = "/login", "/logout", "/forms/"
OPEN_PATHS = ("/healthz", "/readyz", WEBHOOK, LOGIN, LOGOUT, "/docs", "/openapi.json")
READING_POSTS = re.compile(r"/api/models/[^/]+/[^/]+/paths-info/.+")
"""What the Hub's client asks by POST, as a form, though it changes nothing."""
PLANNING = ("/plan", "/teachers", "/new")
"""What has the Hub asked with the service's own token, though it changes nothing."""
TRYING = re.compile(r"/play(/[^/]+/[^/]+)?|/v1/(chat/)?completions")
"""What has a size write something, which changes nothing that others see."""
PUBLISHING = re.compile(r"/families/[^/]+/publish")
"""What is for the Hub alone."""
MANAGING = re.compile(r"/(keys|audit)(/.*)?")
"""What is for who runs the service."""
_DELETING = re.compile(r"/families/[^/]+/delete")


def scope_of(method: str, path: str) -> KeyScope | None:
    """The scope that a key needs for this; None where none is asked for."""
    if path in OPEN_PATHS or path.startswith("/static/"):
        return None
    if path.startswith(FORMS):
        method, path = stands_for(method, path)
    if MANAGING.fullmatch(path):
        return "admin"
    if TRYING.fullmatch(path):
        return "read"
    if not changes(method, path):
        return "build" if path in PLANNING else "read"
    return "publish" if PUBLISHING.fullmatch(path) else "build"


def stands_for(method: str, path: str) -> tuple[str, str]:
    """The method and address of the API that a form does the same as."""
    path = path.removeprefix(FORMS.rstrip("/"))
    if _DELETING.fullmatch(path):
        return "DELETE", path.removesuffix("/delete")
    return method, path


def takes_forms(path: str) -> bool:
    """Whether an address takes what a browser's form sends, and that alone."""
    return path in (LOGIN, LOGOUT) or path.startswith(FORMS)


def changes(method: str, path: str) -> bool:
    """Whether a request may change something."""
    return method not in ("GET", "HEAD", "OPTIONS") and not reads(method, path)


def reads(method: str, path: str) -> bool:
    """Whether it is a POST that only asks."""
    return method == "POST" and READING_POSTS.fullmatch(path) is not None
