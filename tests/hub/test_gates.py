"""Who sees a repository while it is filled: nobody who was not to."""

import pytest

from boomerang.assembly.bytefile import ByteFile
from boomerang.errors import HubFailure
from boomerang.hub.publish import publish
from tests.local_hub.accounts import OWNER
from tests.local_hub.fixture import LocalHub, hub

__all__ = ["hub"]


def test_a_repository_is_never_open_before_it_is_gated(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    card = "---\ntags: [boomerang]\n---\n"
    first, second = (
        {"README.md": ByteFile.literal(card), "a.txt": ByteFile.literal(data)} for data in "ab"
    )
    publish("me/new", first, private=False, gated="auto", message="one", endpoint=hub.url)
    assert hub.store.repos["me/new"].seen == [(True, False), (False, "auto")]
    # One that was seen by its owners alone, and one that was open already.
    publish("me/own", first, message="one", endpoint=hub.url)
    publish("me/own", second, private=False, gated="manual", message="two", endpoint=hub.url)
    assert hub.store.repos["me/own"].seen == [(True, False), (False, "manual")]
    publish("me/open", first, private=False, message="one", endpoint=hub.url)
    hub.fail("/commit/", 403)
    with pytest.raises(HubFailure):
        publish("me/open", second, private=False, gated="auto", message="two", endpoint=hub.url)
    assert hub.store.repos["me/open"].gated == "auto"
    assert hub.files("me/open")["a.txt"] == b"a"
    # And the gate goes where it is not asked for any more.
    publish("me/open", first, private=False, message="three", endpoint=hub.url)
    assert hub.store.repos["me/open"].gated is False
