"""Questions to the Hub of those who wait: none, or without a pause and with an end."""

from pathlib import Path

import pytest

from boomerang.checkpoint.header import read_json
from boomerang.errors import HubBusy, HubUnreachable
from boomerang.hub import client as hub_client
from boomerang.hub import remote
from boomerang.hub.hurry import Hurry, NeedsHub, without_hub
from tests.hub.test_client import owner, teacher
from tests.local_hub.fixture import LocalHub, hub

__all__ = ["hub", "owner", "teacher"]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def slept(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s while somebody waits")

    made = hub_client.Patience.__init__
    monkeypatch.setattr(hub_client.Patience, "__init__", lambda self, _=None: made(self, slept))


def test_without_the_hub_a_question_is_not_asked(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    found = remote.resolve("org/teacher", endpoint=hub.endpoint)
    source = remote.sources(found)["config.json"]
    before = len(hub.asked)
    with without_hub():
        for ask in (
            lambda: remote.resolve("org/teacher", endpoint=hub.endpoint),
            lambda: remote.checkpoint(found),
            lambda: source.read(0, 5),
        ):
            with pytest.raises(NeedsHub):
                ask()
    assert len(hub.asked) == before
    assert source.read(0, 5)


def test_in_a_hurry_nothing_pauses(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    with Hurry(10).within(60):
        hub.fail("GET /api/models/", 503, times=2)
        hub.fail("GET /org/", times=2)
        found = remote.resolve("org/teacher", endpoint=hub.endpoint)
        assert read_json(remote.sources(found)["config.json"]) == {"model_type": "llama"}
        hub.fail("GET /cdn/", 500, times=2)
        assert remote.sources(found)["model.safetensors"].read(0, 8)
        hub.fail("GET /api/models/", 502, times=99)
        with pytest.raises(HubUnreachable, match="502"):
            remote.resolve("org/teacher", endpoint=hub.endpoint)


def test_what_the_hub_asks_for_holds_for_all_in_that_hurry(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    hurry, other = Hurry(10), Hurry(10)
    hub.refuse("GET /api/models/", 429, Retry_After="30")
    for _ in range(2):
        with hurry.within(60), pytest.raises(HubBusy, match="alone") as caught:
            remote.resolve("org/teacher", endpoint=hub.endpoint)
        assert 0 < caught.value.retry_after <= 30
    assert len(hub.asked) == 1
    with other.within(60):
        assert remote.resolve("org/teacher", endpoint=hub.endpoint)
        # Too many at once, and no word about when: not at once, in any case.
        hub.refuse("GET /api/models/", 429)
        with pytest.raises(HubBusy, match="does not answer"):
            remote.resolve("org/teacher", endpoint=hub.endpoint)
        assert remote.resolve("org/teacher", endpoint=hub.endpoint)


def test_silence_ends_it_in_every_thread(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    found = remote.resolve("org/teacher", endpoint=hub.endpoint)
    for pattern, ask in (
        ("GET /api/models/", lambda: remote.resolve("org/teacher", endpoint=hub.endpoint)),
        ("GET /(org|cdn)/", lambda: remote.checkpoint(found)),
    ):
        with hub.stalling(pattern), Hurry(0.3).within(60), pytest.raises(HubBusy) as caught:
            ask()
        assert caught.value.retry_after == 5
    with Hurry(10).within(0), pytest.raises(HubBusy, match="too long"):
        remote.checkpoint(found)
