"""The test Hub in a process of its own: what it keeps, counts and does wrong on purpose."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.local_hub.fixture import LocalHub, hub, run_client
from tests.local_hub.repos import OWNER
from tests.support.places import ROOT

__all__ = ["hub"]

Start = Callable[..., tuple[str, subprocess.Popen[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the Hub over one folder: its address, and its process."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> tuple[str, subprocess.Popen[str]]:
        folder = ["--folder", str(tmp_path / "kept")]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.local_hub", *folder, *arguments],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().split("HF_ENDPOINT=")[1].split()[0], process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


UPLOAD = """
from huggingface_hub import CommitOperationAdd, HfApi
data = open({path!r}, "rb").read()
HfApi().create_repo({repo!r}, private=True)
HfApi().create_commit({repo!r}, [
    CommitOperationAdd("a.safetensors", data), CommitOperationAdd("note.txt", b"note"),
], commit_message="up")
"""


@pytest.mark.long("the Hub dies and comes back, and real clients in processes of their own")
def test_it_goes_on_after_a_kill_and_knows_what_was_sent(start: Start, tmp_path: Path) -> None:
    # Always the same bytes: how much of a moved file is new to the Hub depends on where its
    # chunks end, which bytes drawn anew put almost anywhere.
    data, home = random.Random(1).randbytes(4_000_000), tmp_path / "home"
    (tmp_path / "data").write_bytes(data)
    address, process = start()
    run_client(UPLOAD.format(path=str(tmp_path / "data"), repo="me/one"), address, home=home)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again, _ = start("--port", address.rsplit(":", 1)[1])
    assert again == address
    (tmp_path / "data").write_bytes(b"another beginning" * 1000 + data)
    run_client(UPLOAD.format(path=str(tmp_path / "data"), repo="me/two"), address, home=home)
    totals = httpx.get(f"{address}/traffic").json()["totals"]
    assert len(data) <= totals["me/one"]["xet"] <= 1.01 * len(data)
    assert 0 < totals["me/two"]["xet"] < 0.1 * len(data), "the rest was sent before"
    assert totals["me/two"]["again"] < totals["me/two"]["xet"]
    assert totals["me/one"]["regular"] == 4
    history = httpx.get(f"{address}/history/me/two").json()
    assert [commit["title"] for commit in history["branches"]["main"]] == ["up", "initial commit"]
    assert [private for _, private, _ in history["access"]] == [True]
    for repo, wanted in (("me/one", data), ("me/two", (tmp_path / "data").read_bytes())):
        url = f"{address}/{repo}/resolve/main/a.safetensors"
        bearer = {"Authorization": f"Bearer {OWNER}"}
        assert httpx.get(url, headers=bearer, follow_redirects=True).content == wanted


COMMIT = """{"key": "header", "value": {"summary": "one file"}}
{"key": "file", "value": {"path": "%s", "content": "YWJjZA=="}}"""


def test_faults_are_asked_for_over_http(hub: LocalHub) -> None:
    bearer = {"Authorization": f"Bearer {OWNER}"}
    with httpx.Client(base_url=hub.url, headers=bearer) as client:
        client.post("/api/repos/create", json={"organization": "me", "name": "one"})

        def commit(path: str) -> httpx.Response:
            return client.post("/api/models/me/one/commit/main", content=COMMIT % path)

        def fault(**asked: object) -> None:
            client.post("/faults", json={"pattern": "/commit/", **asked}).raise_for_status()

        fault(status=429, retry_after="7")
        refused = commit("never")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
        fault(mode="lost", status=504)
        assert commit("done").status_code == 504
        fault(mode="lost")
        with pytest.raises(httpx.TransportError):
            commit("done-too")
        fault(mode="cut-upload")
        with pytest.raises(httpx.TransportError):
            commit("never")
        assert set(hub.files("me/one")) == {"done", "done-too"}
        fault(mode="slow", rate=10, pattern="/resolve/")
        began = time.monotonic()
        assert client.get("/me/one/resolve/main/done").content == b"abcd"
        assert time.monotonic() - began >= 0.3
        fault(mode="cut", pattern="/resolve/")
        with pytest.raises(httpx.TransportError):
            client.get("/me/one/resolve/main/done")
        assert [one["times"] for one in client.get("/faults").json()] == [0] * 6
        client.delete("/faults")
        assert client.get("/faults").json() == []


@pytest.mark.parametrize(
    "front",
    [
        "model-index: [{name: a, results: [{task: {type: x}}]}]",
        "base_model_relation: child",
        "license: [unclosed",
    ],
)
def test_a_card_is_held_to_what_the_hub_takes(hub: LocalHub, front: str) -> None:
    content = {"content": f"---\n{front}\n---\ntext", "repoType": "model"}
    answer = httpx.post(f"{hub.url}/api/validate-yaml", json=content)
    assert answer.status_code == 400
    assert answer.json()["errors"]
