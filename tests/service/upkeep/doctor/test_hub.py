"""What is said of a Hub on a real socket, and of tokens that it knows or not."""

from pathlib import Path

import pytest

from boomerang.hub import rights
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding, clock
from boomerang.service.upkeep.doctor.hub import hub as looked
from tests.local_hub.accounts import NARROW, OWNER, READER
from tests.local_hub.fixture import LocalHub, hub

__all__ = ["hub"]
STRANGER = "hf_" + "s" * 34


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "_known", {})
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def found(endpoint: str, **more: object) -> dict[str, Finding]:
    settings = Settings(home=Path("/nowhere"), hub_endpoint=endpoint, **more)  # type: ignore[arg-type]
    return {one.name: one for one in looked(settings)}


@pytest.mark.parametrize(
    ("token", "students", "state", "said"),
    [
        (OWNER, "me", "ok", "may write to tester, family, me"),
        (OWNER, "guest", "fail", "may not write to guest"),
        (NARROW, "team", "ok", "may write to team"),
        (READER, "", "ok", "it may only read"),
        (READER, "me", "fail", "it may only read"),
        (STRANGER, "", "fail", "does not know it"),
        ("", "", "warn", "There is none"),
        ("", "me", "fail", "There is none"),
    ],
)
def test_what_a_token_may(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, token: str, students: str, state: str, said: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    all_ = found(hub.url, students=students)
    assert (all_["hub"].state, all_["hub's clock"].state) == ("ok", "ok")
    one = all_["hub's token"]
    assert (one.state, said in one.said) == (state, True), one
    assert not token or token not in repr(all_)


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("http://127.0.0.1:1")["hub"].state == "warn"
    assert found("http://127.0.0.1:1", students="me")["hub"].state == "fail"
    assert found("nonsense")["hub"].state == "warn"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in found("http://127.0.0.1:1")["hub"].said


def test_a_hub_that_breaks_over_the_token(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    hub.fail("whoami", 500, times=50)
    assert "could not be asked about" in found(hub.url)["hub's token"].said


@pytest.mark.parametrize(
    ("ahead", "state"), [(0.2, "ok"), (-4.0, "ok"), (20.0, "warn"), (-70.0, "fail")]
)
def test_clocks_that_are_apart(ahead: float, state: str) -> None:
    one = clock("hub's clock", ahead, "the Hub")
    assert (one.state, one.value) == (state, ahead)
