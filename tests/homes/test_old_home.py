"""What an earlier version distilled, measured and built is found, and found to be the same.

An update leaves home and models where they are (a teacher whose folder moved is gone, to that
version as to this). So the folders that the catalog names are rewritten to where they are unpacked
here; the inodes and times by which digests are believed, too, or they are not, as in a copy.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from boomerang.catalog.catalog import Catalog
from boomerang.service.jobs import Distill, Message, Producer, Rebuild
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from workers.context import Context
from workers.distill import distill
from workers.models.rebuild import rebuild

pytestmark = pytest.mark.slow("a whole home is unpacked and asked")

KEPT = Path(__file__).parent / "distilled"
SERVED = json.loads((KEPT / "served.json").read_text())
FAMILY, STUDENT = SERVED["family"]["id"], SERVED["family"]["student"]


@pytest.fixture(params=["in place", "copied"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The home of the earlier version, unpacked."""
    places = {name: tmp_path / name for name in ("home", "models")}
    dump = (KEPT / "catalog.sql").read_text()
    for name, place in places.items():
        shutil.copytree(KEPT / name, place)
        dump = dump.replace(f"{{{name}}}", str(place))
    with sqlite3.connect(places["home"] / "catalog.sqlite") as catalog:
        catalog.executescript(dump)
        if request.param == "in place":
            for (path,) in catalog.execute("SELECT path FROM file_hashes").fetchall():
                there = Path(path).stat()
                catalog.execute(
                    "UPDATE file_hashes SET inode = ?, mtime_ns = ? WHERE path = ?",
                    (there.st_ino, there.st_mtime_ns, path),
                )
    return Settings(**places)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What the front end sends to workers."""
    jobs: list[Message] = []
    monkeypatch.setattr(Producer, "send", lambda _, job, id_=None: not jobs.append(job))
    return jobs


@pytest.fixture
def client(settings: Settings, sent: list[Message]) -> Iterator[TestClient]:
    with TestClient(create_app(settings), "http://127.0.0.1") as opened:
        yield opened


def named(family: dict[str, Any]) -> dict[str, Any]:
    """What names a family, its student and its members."""
    digests = {member["size"]: member["digest"] for member in family["members"]}
    return {"id": family["id"], "student": family["student"]["key"], "digests": digests}


def test_same_request_finds_the_family_and_distils_nothing(
    client: TestClient, sent: list[Message], settings: Settings
) -> None:
    family = client.post("/families", json=SERVED["request"]).raise_for_status().json()
    assert named(family) == SERVED["family"]
    assert family["student"]["state"] == "ready"
    assert family["measuring"] == "yes"
    assert [m["size"] for m in family["members"] if m["built"] == "yes"] == [
        SERVED["request"]["budget"]
    ]
    assert len(client.get("/families").json()["families"]) == 1
    catalog = Catalog(settings.database_url)
    assert catalog.reap(0.0, 5) == ()
    catalog.close()
    assert sent == []


@pytest.mark.parametrize("size", SERVED["members"])
def test_every_file_of_every_member_is_the_same(client: TestClient, size: str) -> None:
    was = SERVED["members"][size]
    at = f"/{was['repo']}/resolve/{was['commit']}"
    found = {}
    for file in was["files"]:
        answer = client.get(f"{at}/{file}").raise_for_status()
        sha256 = hashlib.sha256(answer.content).hexdigest()
        found[file] = {"etag": answer.headers["etag"], "sha256": sha256}
    assert found == was["files"]
    # Card and record may say it in other words by now.
    listed = client.get(f"/api/models/{was['repo']}").raise_for_status().json()["siblings"]
    assert {file["rfilename"] for file in listed} == set(was["files"])
    for file in was["files"].keys() - {"README.md", "boomerang.json"}:
        now = client.get(f"/models/{size}/{file}").raise_for_status()
        assert hashlib.sha256(now.content).hexdigest() == was["files"][file]["sha256"]


@pytest.mark.long("a whole home is unpacked and asked")
def test_a_worker_finds_its_student_and_its_members_whole(
    client: TestClient, sent: list[Message], settings: Settings
) -> None:
    built = settings.members / SERVED["family"]["digests"][SERVED["request"]["budget"]]
    kept = [settings.student_folder(STUDENT), built]
    before = {file: file.read_bytes() for folder in kept for file in folder.iterdir()}
    client.post(f"/families/{FAMILY}/rebuild").raise_for_status()
    assert sent == [Distill(key=STUDENT)]
    catalog, outbox = Catalog(settings.database_url), Outbox()
    here = Context(settings, catalog, outbox)
    assert distill(here, STUDENT) == "verified"
    assert outbox.sent == [Rebuild(family=FAMILY)]
    assert rebuild(here, FAMILY) == "whole"
    assert {file: file.read_bytes() for folder in kept for file in folder.iterdir()} == before
    assert all(event.kind != "set-aside" for event in catalog.events_after(0))
    catalog.close()
