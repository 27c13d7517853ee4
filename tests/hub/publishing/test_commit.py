"""One commit, whole or not at all, whatever the Hub does: over real sockets."""

import logging
from pathlib import Path
from typing import Any

import numpy
import pytest

from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import HubFailure, HubUnreachable, SourceChanged
from boomerang.hub import library
from boomerang.hub.publish import publish
from tests.hub.publishing.conftest import CARD, Files, contents
from tests.local_hub.faults import Fault
from tests.local_hub.fixture import LocalHub

REPO = "family/member"
both = pytest.mark.parametrize("lane", ["xet", "lfs"], indirect=True)
pytestmark = [
    pytest.mark.slow("the real client sends models over sockets, by both ways"),
    # It says `data` to its HTTP library where that wants `content`.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


@pytest.fixture
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setattr(library.runtime, "is_xet_available", lambda: request.param == "xet")
    commits = "huggingface_hub._commit_api.is_xet_available"
    monkeypatch.setattr(commits, lambda: request.param == "xet")
    return str(request.param)


def put(hub: LocalHub, files: Files, **options: Any) -> str:
    told = {"message": "one"} | options
    return publish(REPO, files, endpoint=hub.endpoint, **told).commit


@both
def test_a_model_is_one_commit_and_comes_once(hub: LocalHub, files: Files, lane: str) -> None:
    files |= {f"a{n}.tiktoken": ByteFile.literal(b"%d" % n) for n in range(300)}
    seen: list[tuple[int, int]] = []
    put(hub, files, progress=lambda done, total: seen.append((done, total)))
    assert hub.files(REPO) == contents(files)
    assert hub.commits(REPO) == ["one"]
    total = sum(one.size for one in files.values())
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, total), (total, total))
    arrived = len(hub.traffic.arrivals)
    put(hub, files)
    assert len(hub.traffic.arrivals) == arrived
    assert hub.commits(REPO) == ["one"]


@both
@pytest.mark.parametrize("answer", [500, None], ids=["an error", "none"])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(
    hub: LocalHub, files: Files, lane: str, answer: int | None
) -> None:
    hub.faults.append(Fault("/commit/", answer, lost=True))
    commit = put(hub, files)
    assert hub.commits(REPO) == ["one"]
    assert hub.store.repos[REPO].branches["main"] == commit
    assert hub.files(REPO) == contents(files)


def test_somebody_elses_commit_in_between_is_not_overwritten(hub: LocalHub, files: Files) -> None:
    put(hub, files)
    repo = hub.store.repos[REPO]
    other = dict(repo.at("main").files) | {"note.txt": hub.store.blob(b"by hand")}
    # As if it came just before ours.
    hub.faults.append(Fault("/commit/", 412))
    with pytest.raises(HubUnreachable, match="412"):
        put(hub, files | {"config.json": ByteFile.literal("[]")}, message="two")
    repo.commit("main", "by hand", other)
    put(hub, files | {"config.json": ByteFile.literal("[]")}, message="two")
    assert hub.commits(REPO) == ["two", "by hand", "one"]
    assert hub.files(REPO)["note.txt"] == b"by hand"


CALLS = {
    "lfs": ("objects/batch", "PUT /storage/", "/complete", "objects/verify"),
    "xet": ("xet-write-token",),
}
EVERY = (
    "POST /api/repos/create", "GET /api/models/", "/preupload/", "POST /api/validate-yaml",
    "/commit/", "PUT /api/models/.*/settings", "/tag/", "POST /api/collections$", "/items",
)  # fmt: skip


@both
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_waited_for_at_every_call(
    hub: LocalHub, files: Files, slept: list[float], lane: str, status: int
) -> None:
    for pattern in (*EVERY, *CALLS[lane]):
        hub.refuse(pattern, status, 1, retry_after="7")
    put(hub, files, private=False, collection="Family")
    assert not [fault for fault in hub.faults if fault.times]
    assert hub.files(REPO) == contents(files)
    assert hub.commits(REPO) == ["one"]
    # Each time as long as was asked for (the client adds a second, and does not look at what the
    # check of a card is answered).
    assert len([one for one in slept if 7 <= one <= 8]) == len(EVERY) + len(CALLS[lane]) - 1


def test_connections_that_break_are_made_again(hub: LocalHub, files: Files) -> None:
    for pattern in EVERY:
        hub.fail(pattern)
    put(hub, files, private=False, collection="Family")
    assert not [fault for fault in hub.faults if fault.times]
    assert hub.files(REPO) == contents(files)
    assert hub.commits(REPO) == ["one"]


@both
def test_what_was_sent_is_not_sent_again(hub: LocalHub, files: Files, lane: str) -> None:
    hub.faults.append(Fault("/commit/", 403))
    with pytest.raises(HubFailure, match="403"):
        put(hub, files)
    assert hub.commits(REPO) == []
    kinds = ("lfs", "xet")
    sent = hub.traffic.sent(*kinds)
    put(hub, files)
    assert hub.files(REPO) == contents(files)
    assert hub.traffic.sent(*kinds) == sent


@both
def test_a_model_that_changes_under_way_is_no_hub_that_is_away(
    hub: LocalHub, files: Files, tmp_path: Path, lane: str
) -> None:
    (tmp_path / "2.safetensors").write_bytes(b"another")
    with pytest.raises(SourceChanged):
        put(hub, files)
    assert hub.files(REPO) == {}


@both
def test_what_progress_raises_ends_it(hub: LocalHub, files: Files, lane: str) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 900_000:
            raise Enough

    with pytest.raises(Enough):
        put(hub, files, progress=stop)
    assert hub.files(REPO) == {}
    put(hub, files)
    assert hub.files(REPO) == contents(files)


@pytest.mark.long("the real client sends models over sockets, by both ways")
def test_of_a_slow_hub_no_more_is_read_than_waits_to_be_sent(
    hub: LocalHub, files: Files, tmp_path: Path
) -> None:
    class Enough(Exception):
        pass

    # xet sends pieces of 64 MB.
    (tmp_path / "large").write_bytes(numpy.random.default_rng(0).bytes(160_000_000))
    large = ByteFile.whole(FileSource.of(tmp_path / "large"))
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if seen[-50:] == [done] * 50 or done == total:
            raise Enough

    with hub.stalling("/v1/xorbs/"), pytest.raises(Enough):
        put(hub, {"model.safetensors": large}, progress=stop)
    assert 64_000_000 < max(seen) < 100_000_000


def test_a_token_that_may_not_write_is_told_so(hub: LocalHub, files: Files) -> None:
    hub.refuse("xet-write-token", 403)
    with pytest.raises(HubFailure, match="403") as caught:
        put(hub, files)
    assert not caught.value.transient


@pytest.mark.parametrize("lane", ["lfs"], indirect=True)
def test_signed_addresses_stand_in_no_log(
    hub: LocalHub, files: Files, lane: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.refuse("PUT /storage/", 503)
    put(hub, files)
    assert "/storage/" in caplog.text
    assert "?repo=" not in caplog.text


def test_of_weights_that_are_known_nothing_is_read(
    hub: LocalHub, files: Files, tmp_path: Path
) -> None:
    done = publish(REPO, files, message="one", endpoint=hub.endpoint)
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    again = publish(
        REPO, files | {"README.md": ByteFile.literal(CARD + b"new")}, message="two",
        known=done.files, endpoint=hub.endpoint,
    )  # fmt: skip
    assert hub.commits(REPO) == ["two", "one"]
    same = {name for name in files if done.files[name] == again.files[name]}
    assert files.keys() - same == {"README.md"}
    # The tag says which weights, so that it stays where it was.
    assert list(hub.store.repos[REPO].tags.values()) == [done.commit]
