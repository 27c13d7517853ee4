"""Notices reach who wants to be told: across a killed worker and an address that refuses them."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.families import NewRequest
from tests.support.places import ROOT
from tests.support.receiver import SECRET, receiving
from tests.workers.conftest import Backend, wait_for

pytestmark = pytest.mark.long("two workers come up, of which one is killed")


def documented() -> Callable[[str, dict[str, str], bytes], bool]:
    """The function that docs/operations.md has receivers check a notice with."""
    (code,) = re.findall(
        r"```python\n((?:(?!```).)*def is_ours.*?)```",
        (ROOT / "docs/operations.md").read_text(),
        re.DOTALL,
    )
    found: dict[str, Any] = {}
    exec(code, found)  # the documentation is what is tested
    checks: Callable[[str, dict[str, str], bytes], bool] = found["is_ours"]
    return checks


def test_they_survive_a_killed_worker_and_an_address_that_refuses_twice(tmp_path: Path) -> None:
    is_ours = documented()
    with receiving() as receiver:
        receiver.plan = ["hold", "busy", "cut"]
        backend = Backend(
            tmp_path,
            notify_hosts=(receiver.host,),
            notify_secret=SECRET,
            public_url="https://models.example.org/",
        )
        try:
            url = receiver.url("/hook?key=hush")
            requests = (NewRequest(kind="build", what="*"),)
            family = backend.ask("quick", notify=url, requests=requests).family
            first = backend.worker("first")
            wait_for(lambda: receiver.got, 60)
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            receiver.released.set()
            backend.worker("second")
            wait_for(lambda: len(receiver.taken) == 2, 90)
            wait_for(lambda: backend.catalog.notice_hosts() == (), 30)
            ids = [headers["webhook-id"] for headers, _ in receiver.got]
            # Each attempt has the id and the body of the first, and a signature of its own time.
            # What was held when its worker died waits, and what came meanwhile goes first.
            assert len(ids) == 5
            assert ids.count(ids[0]) >= 2
            assert len({(headers["webhook-id"], body) for headers, body in receiver.got}) == 2
            assert all(is_ours(SECRET, headers, body) for headers, body in receiver.got)
            headers, body = receiver.taken[0]
            assert not is_ours("whsec_" + "b3RoZXJz" * 4, headers, body)
            assert not is_ours(SECRET, headers, body + b" ")
            assert not is_ours(SECRET, headers | {"webhook-timestamp": "1700000000"}, body)
            told = [json.loads(body) for _, body in receiver.taken]
            told.sort(key=lambda one: one["type"], reverse=True)
            assert [one["type"] for one in told] == ["family.ready", "build.done"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told[0]["timestamp"])
            assert told[0]["data"] == {
                "id": family.id,
                "name": "teacher",
                "teacher": "teacher",
                "commit": family.commit,
                "reason": told[0]["data"]["reason"],
                "url": f"https://models.example.org/families/{family.id}",
            }
            assert told[1]["data"]["what"] == "*"
            # Neither the key in the address nor the one it is signed with is told anywhere.
            logs = "".join(path.read_text() for path in backend.settings.logs.glob("*.log"))
            events = str([event.payload for event in backend.catalog.events_after(0)])
            bodies = str([body for _, body in receiver.got])
            assert "was not taken" in logs
            for secret in ("hush", SECRET, SECRET.removeprefix("whsec_"), str(tmp_path)):
                assert secret not in events + bodies
            assert "hush" not in logs
            assert SECRET not in logs
        finally:
            backend.close()
