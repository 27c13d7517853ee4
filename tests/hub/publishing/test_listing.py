"""What a repository's tree tells: which files are gone or others, and when nobody can say."""

import hashlib

import pytest

from boomerang.errors import HubFailure, TeacherNotFound
from boomerang.hub.publishing.listing import Entry, blob_oid, differences, look
from tests.local_hub.accounts import OWNER
from tests.local_hub.fixture import LocalHub, hub

__all__ = ["hub"]

SMALL = b"{}"
LARGE = Entry("pointer", "a" * 64)
FILES = {"config.json": hashlib.sha256(SMALL).hexdigest(), "model.safetensors": "a" * 64}


def nothing(_: str) -> None:
    return None


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"config.json": Entry(blob_oid(SMALL), None), "model.safetensors": LARGE}, ((), ())),
        ({"model.safetensors": LARGE}, (("config.json",), ())),
        (
            {"config.json": Entry(blob_oid(b"[]"), None), "model.safetensors": LARGE},
            ((), ("config.json",)),
        ),
        (
            {"config.json": Entry("p", FILES["config.json"]), "model.safetensors": Entry("p", "b")},
            ((), ("model.safetensors",)),
        ),
        (
            {"config.json": Entry(blob_oid(SMALL), None), "model.safetensors": Entry("text", None)},
            ((), ("model.safetensors",)),
        ),
    ],
    ids=["whole", "lost", "small", "large", "no longer large"],
)
def test_a_tree_is_compared_both_ways(
    now: dict[str, Entry], found: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    then = {"config.json": Entry(blob_oid(SMALL), None), "model.safetensors": LARGE}
    differs = differences(now, then, FILES, nothing)
    assert ((differs.lost, differs.changed), differs.unknown) == (found, ())
    # Without a tree of our own commit, the content that is known stands for it.
    content = {"config.json": SMALL, "model.safetensors": b"large"}
    differs = differences(now, {}, FILES, content.get)
    assert (differs.lost, differs.changed) == found
    # Without what was published, that tree stands for it.
    same = now.get("config.json", LARGE).sha256 is None
    if same:
        differs = differences(now, then, None, nothing)
        assert (differs.lost, differs.changed) == found


def test_what_nobody_can_tell_is_unknown() -> None:
    now = {"config.json": Entry(blob_oid(SMALL), None), "model.safetensors": LARGE}
    assert differences(now, {}, FILES, nothing).unknown == ("config.json",)


@pytest.mark.slow("a Hub is asked who we are")
def test_what_the_hub_hides_is_not_taken_for_gone(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.store.create("me/it", True)
    for token in (None, "hf_nobody", "hf_reader"):
        monkeypatch.setenv("HF_TOKEN", token or "")
        with pytest.raises(HubFailure) as raised:
            look("me/it", endpoint=hub.url)
        assert not raised.value.transient
    monkeypatch.setenv("HF_TOKEN", OWNER)
    assert look("me/it", endpoint=hub.url).private
    with pytest.raises(TeacherNotFound):
        look("me/gone", endpoint=hub.url)
    with pytest.raises(TeacherNotFound):
        look("me/it", "9" * 40, endpoint=hub.url)
