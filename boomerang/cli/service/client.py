"""A client of the service. Everything that goes wrong is a BoomerangError."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from boomerang.errors import BadRequest, BoomerangError
from boomerang.hub.rights import HEADER
from boomerang.retries import TOO_MANY, UNAVAILABLE, asked_wait

POLL_SECONDS = 0.5
RETRY_SECONDS = 60.0
"""How long a service that stopped answering is waited for."""


T = TypeVar("T")
Told = tuple[int, str, dict[str, Any]]
"""An event: its id, its kind, its values."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Refused(BoomerangError):
    """The service answered with a problem."""

    slug, title = "refused", "The service refused"


class Unreachable(BoomerangError):
    """The service did not answer."""

    slug, title = "unreachable", "The service does not answer"


class Service:
    """A running Boomerang at a URL. Use as a context."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {_header(key)}"
        with _errors(url):
            self._client = httpx.Client(
                base_url=url,
                headers=headers,
                timeout=httpx.Timeout(60, connect=10),
                # A proxy has no way to this machine's own loopback.
                trust_env=urlsplit(url).hostname not in _LOOPBACK,
            )
        self.url = url.rstrip("/")
        address = urlsplit(url)
        self._safe = address.scheme == "https" or address.hostname in _LOOPBACK

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, *, choices: bool = False) -> dict[str, Any]:
        """GET JSON, also where another address has it; with `choices` also that there are several.

        Raises Refused or Unreachable.
        """
        answer = self._patient(lambda: self._client.get(path, follow_redirects=True))
        if choices and answer.status_code == 300:
            found: dict[str, Any] = answer.json()
            return found
        return _answer(answer)

    def delete(self, path: str) -> dict[str, Any]:
        """DELETE; what the answer says, which may be nothing. Raises Refused or Unreachable."""
        answer = self._patient(lambda: self._client.delete(path))
        return {} if answer.status_code == 204 else _answer(answer)

    def head(self, path: str) -> Mapping[str, str]:
        """The headers of what GET sends as bytes. Raises Refused or Unreachable."""
        answer = self._patient(lambda: self._client.head(path, headers={"Accept": "*/*"}))
        if not answer.is_success:
            # An answer to HEAD has no body that says why; GET has.
            with self.streamed(path):
                pass
        return answer.headers

    def post(
        self, path: str, body: Mapping[str, Any], *, token: str | None = None
    ) -> dict[str, Any]:
        """POST JSON, with one's own token of the Hub where it is given.

        Raises Refused or Unreachable; BadRequest where others could read the token on its way.
        """
        headers = {} if token is None else {HEADER: _header(token)}
        if headers and not self._safe:
            raise BadRequest(
                f"{self.url} is no https address: a token would be read on its way.",
                value=self.url,
                fix="Ask by https, or leave out --as-me.",
            )
        return _answer(self._patient(lambda: self._client.post(path, json=body, headers=headers)))

    def _patient(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send again where the service says when: it did nothing, being busy or waiting itself."""
        until = time.monotonic() + RETRY_SECONDS
        while True:
            with _errors(self.url):
                answer = send()
            after = answer.headers.get("retry-after", "")
            wait = asked_wait(after)
            if answer.status_code not in (TOO_MANY, UNAVAILABLE) or wait is None:
                return answer
            if time.monotonic() + wait > until:
                return answer
            time.sleep(wait)

    def family(self, id_: str) -> dict[str, Any]:
        """A family, also across a restart of the service. Raises Refused or Unreachable."""
        return self.steady(f"/families/{quote(id_, safe='')}")

    def steady(self, path: str) -> dict[str, Any]:
        """GET JSON, also across a restart of the service. Raises Refused or Unreachable."""
        return self.steadily(lambda: self.get(path))

    def steadily(self, ask: Callable[[], T]) -> T:
        """Ask again for a while as long as the service does not answer. Raises as `ask`."""
        until = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return ask()
            except Unreachable:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL_SECONDS)

    def events(self, id_: str, after: int) -> Iterator[Told | None]:
        """Yield (id, kind, values) of a family's events after one, until the stream ends.

        None means that the service is still there. Raises Refused or Unreachable.
        """
        path = f"/families/{quote(id_, safe='')}/events"
        last = {"Last-Event-ID": str(after)}
        with self.streamed(path, "text/event-stream", last) as answer:
            yield from parse_events(answer.iter_lines())

    def download(self, path: str, to: Path, progress: Callable[[int, int], None]) -> int:
        """GET a file to disk and return its bytes; it appears whole or not at all."""
        part = to.with_name(f".{to.name}.part")
        try:
            with self.streamed(path) as answer:
                total, done = int(answer.headers["content-length"]), 0
                with part.open("wb") as file:
                    for chunk in answer.iter_raw():
                        file.write(chunk)
                        done += len(chunk)
                        progress(done, total)
            if done != total:
                raise Unreachable(f"{done} of {total} bytes of {path} arrived.", value=path)
            part.replace(to)
            return done
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def streamed(
        self, path: str, accept: str = "*/*", headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """The answer to a GET, to be read as it comes. Raises Refused or Unreachable."""
        sent = {"Accept": accept, **(headers or {})}
        with _errors(self.url), self._client.stream("GET", path, headers=sent) as answer:
            if not answer.is_success:
                answer.read()
                _answer(answer)
            yield answer


def parse_events(lines: Iterator[str]) -> Iterator[Told | None]:
    """Server-sent events from their lines (https://html.spec.whatwg.org/#parsing-an-event-stream).

    A comment is None. Events without an id or whose data is no JSON object are left out.
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield None
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields and fields.get("id", "").isdecimal():
            data = json.loads(fields["data"])
            if isinstance(data, dict):
                yield int(fields["id"]), fields.get("event", "message"), data
        fields = {}


def _answer(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    said = body if isinstance(body, dict) else {}
    detail = said.get("detail") or said.get("title") or said.get("error")
    if isinstance(detail, str):
        raise Refused(detail, value=said.get("value"), fix=str(said.get("fix") or ""))
    raise Refused(
        f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}.",
        value=answer.status_code,
        fix="Check that --url is a Boomerang service.",
    )


@contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise BadRequest(
            f"{url!r} is no address of a service: {error}.",
            value=url,
            fix="Write it as http://127.0.0.1:8000.",
        ) from None
    except httpx.HTTPError as error:
        raise Unreachable(
            f"No service answers at {url}: {error or type(error).__name__}.",
            value=url,
            fix="Start one with `boomerang serve`, or give --url.",
        ) from None


def _header(key: str) -> str:
    if not key.isascii() or not key.isprintable():
        raise BadRequest("The API key has characters that no header can carry.", fix="Check it.")
    return key
