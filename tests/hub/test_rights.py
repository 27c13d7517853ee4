"""What a token may publish to, as the Hub says it: asked before anything is done."""

import pytest

from boomerang.errors import HubUnreachable, NamespaceRefused
from boomerang.hub import rights
from boomerang.hub.client import acting_as
from tests.local_hub.accounts import GUEST, NARROW, OWNER, READER
from tests.local_hub.fixture import LocalHub, hub

__all__ = ["hub"]


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "_known", {})
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.mark.parametrize(
    ("token", "may", "may_not"),
    [
        (OWNER, ["tester", "me"], ["guest"]),
        (READER, [], ["reader", "me"]),
        (GUEST, ["guest", "team"], ["family", "me", "tester"]),
        (NARROW, ["team"], ["guest", "family"]),
    ],
)
def test_a_token_publishes_where_the_hub_lets_it(
    hub: LocalHub, token: str, may: list[str], may_not: list[str]
) -> None:
    with acting_as(token):
        for namespace in may:
            rights.check_namespace(namespace, hub.url)
        for namespace in may_not:
            with pytest.raises(NamespaceRefused) as caught:
                rights.check_namespace(namespace, hub.url)
            said = str(caught.value)
            assert repr(namespace) in said
            assert all(one in said for one in may)
            assert token not in said
    # The Hub limits how often it is asked.
    assert len(hub.lines("whoami")) == 1


def test_an_answer_is_believed_for_a_minute(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    for _ in range(2):
        rights.check_namespace("me", hub.url)
    monkeypatch.setattr(rights, "KNOWN_SECONDS", 0.0)
    rights.check_namespace("me", hub.url)
    assert len(hub.lines("whoami")) == 2
    monkeypatch.delenv("HF_TOKEN")
    rights.check_namespace("anywhere", hub.url)  # the Hub will say so


def test_a_token_that_the_hub_does_not_know(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boomerang.hub.client.FIRST_WAIT", 0.0)
    with acting_as("hf_revoked"), pytest.raises(NamespaceRefused, match="does not know"):
        rights.check_namespace("me", hub.url)
    hub.fail("whoami", 503, times=9)
    with acting_as(OWNER), pytest.raises(HubUnreachable):
        rights.check_namespace("me", hub.url)


def test_an_organisation_whose_members_have_no_role_of_their_own() -> None:
    said = {"name": "me", "orgs": [{"name": "old"}, {"name": "no", "roleInOrg": "no_access"}]}
    assert rights.Rights.of(said).writes == ("me", "old")
