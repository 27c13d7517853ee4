"""A client of the service: ask, follow, wait. Everything that goes wrong is a BoomerangError."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from boomerang.cli.show import Bar
from boomerang.errors import BadRequest, BoomerangError

POLL_SECONDS = 0.5
RETRY_SECONDS = 60.0
"""How long a service that stopped answering is waited for."""

T = TypeVar("T")
Family = Mapping[str, Any]


class Refused(BoomerangError):
    """The service answered with a problem."""

    slug, title = "refused", "The service refused"


class Unreachable(BoomerangError):
    """The service did not answer."""

    slug, title = "unreachable", "The service does not answer"


class NotMade(BoomerangError):
    """What was waited for failed."""

    slug, title = "not-made", "It failed"


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
                trust_env=urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"),
            )
        self.url = url.rstrip("/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str) -> dict[str, Any]:
        """GET JSON. Raises Refused or Unreachable."""
        return _answer(self._patient(lambda: self._client.get(path)))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST JSON. Raises Refused or Unreachable."""
        return _answer(self._patient(lambda: self._client.post(path, json=body)))

    def _patient(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send again where the service says when: it did nothing yet, as it waits for the Hub."""
        until = time.monotonic() + RETRY_SECONDS
        while True:
            with _errors(self.url):
                answer = send()
            after = answer.headers.get("retry-after", "")
            wait = int(after) if after.isdigit() else RETRY_SECONDS
            if answer.status_code != 503 or time.monotonic() + wait > until:
                return answer
            time.sleep(wait)

    def family(self, id_: str) -> dict[str, Any]:
        """A family, also across a restart of the service. Raises Refused or Unreachable."""
        return self.patiently(lambda: self.get(f"/families/{quote(id_, safe='')}"))

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask again for a while where the service does not answer."""
        until = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return ask()
            except Unreachable:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL_SECONDS)

    def events(self, id_: str, after: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield (id, kind, values) of a family's events after one, until the stream ends.

        Raises Refused or Unreachable.
        """
        path = f"/families/{quote(id_, safe='')}/events"
        accept = {"Accept": "text/event-stream"}
        with (
            _errors(self.url),
            self._client.stream("GET", path, params={"after": after}, headers=accept) as answer,
        ):
            if not answer.is_success:
                answer.read()
                _answer(answer)
            yield from parse_events(answer.iter_lines())

    def download(self, path: str, to: Path, progress: Callable[[int, int], None]) -> int:
        """GET a file to disk and return its bytes; it appears whole or not at all."""
        part = to.with_name(f".{to.name}.part")
        accept = {"Accept": "*/*"}
        try:
            with _errors(self.url), self._client.stream("GET", path, headers=accept) as answer:
                if not answer.is_success:
                    answer.read()
                    _answer(answer)
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


def parse_events(lines: Iterator[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Server-sent events from their lines (https://html.spec.whatwg.org/#parsing-an-event-stream).

    Events without an id or whose data is no JSON object are left out.
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields and fields.get("id", "").isdecimal():
            data = json.loads(fields["data"])
            if isinstance(data, dict):
                yield int(fields["id"]), fields.get("event", "message"), data
        fields = {}


def wait_made(service: Service, id_: str, title: str = "waiting") -> dict[str, Any]:
    """Wait until a family is distilled and measured, and what was asked of it is done.

    Raises NotMade where any of it failed or was cancelled.
    """
    with Bar(title) as bar:
        while True:
            family = service.family(id_)
            show_progress(bar, family)
            if is_made(family):
                return family
            time.sleep(POLL_SECONDS)


def show_progress(bar: Bar, family: Family) -> None:
    """What a family is doing, on a bar."""
    student = family["student"]
    if student["state"] == "hashing":
        bar.say("hashing its files, in MB")
        bar.count(*(family["hashing"][name] // 10**6 for name in ("done", "total")))
    elif student["state"] == "ready":
        running = family["measuring"] == "running"
        bar.say((family.get("measuring_reason") or "measuring") if running else "finishing")
        done = sum(m["measured"] == "yes" for m in family["members"])
        bar.count(done, len(family["members"]))
    else:
        bar.say(str(student["state"]))
        bar.steps(student)


def is_made(family: Family) -> bool:
    """Whether nothing of the family is left to be done. Raises NotMade for what failed."""
    student = family["student"]
    if student["state"] in ("failed", "cancelled"):
        what = "Hashing the files" if family.get("provisional") else "The student"
        raise _not_made(f"{what} of {family['teacher']} is {student['state']}", student)
    if student["state"] != "ready":
        return False
    if family["measuring"] == "failed":
        reason = {"reason": family.get("measuring_reason")}
        raise _not_made(f"Measuring {family['id']} failed", reason)
    # Without text nothing is measured: then the order that was settled is the end of it.
    if family["measuring"] == "running" or not family.get("settled", family["chosen"]):
        return False
    for want in family.get("wants", ()):
        if want["state"] == "failed":
            raise _not_made(f"{want['kind']} of {want['what']} failed", want)
    return all(want["state"] == "yes" for want in family.get("wants", ()))


def wait_rebuilt(service: Service, family: Family) -> dict[str, Any]:
    """Wait until a rebuild that was asked for is over. Raises NotMade where it failed.

    `family` is the answer to `POST /families/{id}/rebuild`. What the family says of itself may
    still be of before the rebuild, so its events are followed first.
    """
    id_, at = str(family["id"]), int(family["event"])
    if family.get("provisional"):
        # There is nothing to verify before it is made for the first time.
        return wait_made(service, id_)
    remeasured = family["measuring"] != "failed"
    with Bar(f"rebuilding {id_}") as bar:
        checked = False
        while not (checked and remeasured):
            for event, kind, values in _followed(service, id_, at):
                at = event
                if kind == "progress":
                    bar.steps(values)
                state = values.get("state")
                if kind == "student" and state in ("failed", "cancelled"):
                    raise _not_made(f"The rebuild of {id_} is {state}", values)
                if kind == "unverified" and values.get("again_in") is None:
                    raise _not_made(f"{id_} could not be verified", values)
                checked = checked or kind == "verified" or (kind, state) == ("student", "ready")
                remeasured = remeasured or kind == "measuring"
                if checked and remeasured:
                    break
    return wait_made(service, id_, f"checking {id_}")


def rebuild_all(service: Service, family: str | None, *, force: bool, wait: bool) -> dict[str, Any]:
    """Rebuild one family, or all of them; one that fails does not keep the others from it.

    Returns `families`, each with its `id`, the `state` of its student and an `error` or None.
    """
    if family is not None:
        ids = [family]
    else:
        ids = [str(one["id"]) for one in service.get("/families")["families"]]
    asked = [(id_, _asked(service, id_, force)) for id_ in ids]
    return {"families": [_rebuilt(service, id_, answer, wait) for id_, answer in asked]}


def _asked(service: Service, id_: str, force: bool) -> Family | BoomerangError:
    try:
        return service.post(f"/families/{quote(id_, safe='')}/rebuild", {"force": force})
    except Refused as error:
        return error


def _rebuilt(
    service: Service, id_: str, answer: Family | BoomerangError, wait: bool
) -> dict[str, Any]:
    try:
        if isinstance(answer, BoomerangError):
            raise answer
        family = wait_rebuilt(service, answer) if wait else answer
    except (Refused, NotMade) as error:
        return {"id": id_, "state": None, "error": str(error)}
    return {"id": family["id"], "state": family["student"]["state"], "error": None}


def _followed(service: Service, id_: str, after: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    try:
        yield from service.events(id_, after)
    except Unreachable:
        # The stream broke; if the service is there again, it goes on where it was.
        service.family(id_)


def _not_made(what: str, of: Mapping[str, Any]) -> NotMade:
    reason = str(of.get("reason") or "").rstrip(".")
    return NotMade(f"{what}{': ' + reason if reason else ''}.", value=of.get("state"))


def _answer(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    said = body if isinstance(body, dict) else {}
    detail = said.get("detail") or said.get("title")
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
