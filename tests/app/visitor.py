"""A browser without JavaScript, as far as sessions and forms go."""

import re
from typing import Any

import httpx

HTML = {"Accept": "text/html,application/xhtml+xml"}


class Visitor:
    """A browser without JavaScript: it keeps cookies and sends the forms that it finds."""

    def __init__(self, base: str, **headers: str) -> None:
        self.client = httpx.Client(base_url=base, trust_env=False, timeout=60,
                                   headers=HTML | headers)  # fmt: skip
        self.origin = {"Origin": base, "Sec-Fetch-Site": "same-origin"}

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def token(self, path: str = "/login") -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get(path).text)
        assert found is not None, path
        return found[1]

    def send(self, path: str, on: str = "/login", **fields: str) -> httpx.Response:
        form = {"csrf": self.token(on)} | fields
        return self.client.post(path, data=form, headers=self.origin)

    def log_in(self, key: str, at: str = "/") -> httpx.Response:
        return self.send("/login", key=key, next=at)
