"""Clients of the service: each asks until it is answered, and knows what must come of it."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.chaos.schedule import Visit
from benchmarks.chaos.service.stack import NAMESPACE, Stack

_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_ASKED_WITH = {"batch_tokens": 256, "sequence_length": 64, "learning_rate": 2e-3,
               "map": "published"}  # fmt: skip
Family = Mapping[str, Any]


class OutOfTime(Exception):
    """What was asked for did not come in time."""


@dataclass
class Client:
    """One visit: what was accepted, which sizes came down, and what went wrong."""

    stack: Stack
    visit: Visit
    until: Callable[[], float]
    family: str | None = None
    expected: str = "ready"
    tars: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    failure: str | None = None
    over: bool = False

    def __post_init__(self) -> None:
        self._draw = random.Random(self.visit.seed)
        self._http = httpx.Client(base_url=self.stack.url, timeout=15, trust_env=False)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._visit()
        except OutOfTime as error:
            self.failure = str(error)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            self.over = True
            self._http.close()

    def _visit(self) -> None:
        role = self.visit.role
        self.family = str(self._ask("POST", "/families", self._body(role))["id"])
        if role.startswith("cancel"):
            time.sleep(self.visit.pause)
            self._ask("POST", f"/families/{self.family}/cancel")
            self._wait(lambda family: family["student"]["state"] in ("cancelled", "ready"))
            if role == "cancel":
                self.expected = "cancelled"
                return
        # The same again is the same family, however often it is asked for.
        again = self._ask("POST", "/families", self._body(role))["id"]
        if again != self.family:
            raise OutOfTime(f"asked for again it is {again} instead of {self.family}")
        self._wait(_made)
        if role == "delete":
            self._ask("DELETE", f"/families/{self.family}")
            self.expected = "gone"
            return
        if role == "rebuild":
            self._ask("POST", f"/families/{self.family}/rebuild", {})
            self._wait_rebuilt()
            self._wait(_made)
        for member in self._ask("GET", f"/families/{self.family}")["members"]:
            self.tars[member["size"]] = self._download(member)

    def _body(self, role: str) -> dict[str, Any]:
        recipe = {"name": "chaos", "steps": self.visit.steps, "seed": self.visit.seed}
        body = {"teacher": "toy", "data": "texts", "order": "last", "recipe": recipe | _ASKED_WITH}
        if role == "publish":
            return body | {"budget": "1T", "publish": {"namespace": NAMESPACE}}
        return body | {"budget": "1T"}

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        """An answer, however often it takes. Raises OutOfTime."""
        last = ""
        while time.monotonic() < self.until():
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.HTTPError as error:
                last = type(error).__name__
            else:
                status = answer.status_code
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if answer.is_success or (status == 404 and method == "DELETE"):
                    return answer.json() if answer.content else {}
                last = f"{status} {answer.text[:300]}"
                if status not in _LATER:
                    raise OutOfTime(f"{method} {path}: {last}")
            time.sleep(self._draw.uniform(0.2, 0.8))
        raise OutOfTime(f"{method} {path}: {last or 'no time'}")

    def _wait(self, check: Callable[[Family], bool]) -> Family:
        while True:
            family: Family = self._ask("GET", f"/families/{self.family}")
            if check(family):
                return family
            if time.monotonic() > self.until():
                raise OutOfTime(f"family {self.family} is {stands(family)}")
            time.sleep(1.0)

    def _wait_rebuilt(self) -> None:
        while True:
            newest = self._ask("GET", f"/families/{self.family}/rebuilds")["rebuilds"][0]
            if newest["state"] == "yes":
                return
            if newest["state"] == "failed":
                raise OutOfTime(f"the rebuild of {self.family} failed: {newest['reason']}")
            if time.monotonic() > self.until():
                raise OutOfTime(f"the rebuild of {self.family} is {newest['state']}")
            time.sleep(1.0)

    def _download(self, member: Mapping[str, Any]) -> bytes:
        """A size as a tar, in parts: each goes on where the last one broke off."""
        got, tag, total = b"", "", None
        while total is None or len(got) < total:
            if time.monotonic() > self.until():
                raise OutOfTime(f"{len(got)} of {total} bytes of {member['size']} came")
            headers = {"Range": f"bytes={len(got)}-", "If-Range": tag} if got else {}
            try:
                with self._http.stream(
                    "GET", str(member["url"]), headers=headers | {"Accept": "*/*"}
                ) as answer:
                    if answer.status_code == 200:
                        got, tag = b"", answer.headers["etag"]
                        total = int(answer.headers["content-length"])
                    elif answer.status_code != 206:
                        time.sleep(0.5)
                        continue
                    most = self._draw.randrange(10_000, 200_000)
                    for chunk in answer.iter_raw():
                        got, most = got + chunk, most - len(chunk)
                        if most < 0:
                            break  # as a client whose connection broke
            except httpx.HTTPError:
                time.sleep(0.3)
        return got


def stands(family: Family) -> str:
    """How a family stands, in a line."""
    student = family["student"]
    measuring = f"measuring {family['measuring']} ({family['measuring_reason']})"
    wants = ", ".join(f"{w['kind']} {w['state']} {w['reason'] or ''}" for w in family["wants"])
    return (
        f"student {student['state']} at {student['step']} of {student['steps']} "
        f"({student['reason']}), {measuring}, {wants}"
    )


def _made(family: Family) -> bool:
    """Whether all that was asked of it is there. Raises OutOfTime where it failed."""
    student = family["student"]
    if student["state"] == "failed" or family["measuring"] == "failed":
        raise OutOfTime(f"family {family['id']} failed: {stands(family)}")
    failed = [want for want in family["wants"] if want["state"] == "failed"]
    if failed:
        raise OutOfTime(f"family {family['id']}: {failed[0]['kind']} failed: {failed[0]['reason']}")
    done = student["state"] == "ready" and family["settled"] and family["measuring"] == "yes"
    return done and all(want["state"] == "yes" for want in family["wants"])
