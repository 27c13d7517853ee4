"""Who sees a repository at which moment, and what the Hub copies by itself."""

from collections.abc import Callable

import pytest

from boomerang.assembly.bytefile import ByteFile
from boomerang.hub.publish import Elsewhere, publish
from tests.hub.publishing.conftest import CARD, Files, contents
from tests.local_hub.fixture import LocalHub

pytestmark = pytest.mark.slow("the real client sends models over sockets")

REPO, OTHER = "family/member", "family/other"


def history(hub: LocalHub, repo: str = REPO) -> list[tuple[str, str]]:
    """What happened to a repository in order: `private`, `public` or gated, and commits."""
    found = hub.store.repos[repo]
    seen = [(at, "private" if private else str(gated or "public"))
            for at, private, gated in found.access]  # fmt: skip
    commits = [(one.date, one.title) for one in found.history("main")[:-1]]
    return [told for _, told in sorted(seen + commits)]


def put(
    hub: LocalHub, files: Files, message: str, private: bool | None = True, **more: str
) -> None:
    publish(REPO, files, private=private, message=message, endpoint=hub.endpoint, **more)


def test_it_is_public_only_when_it_is_whole_and_private_before_it_changes(
    hub: LocalHub, files: Files
) -> None:
    put(hub, files, "one", private=False, collection="Family")
    assert history(hub) == ["private", "one", "public"]
    (collection,) = hub.store.collections.values()
    assert not collection["private"]
    commits = len(hub.traffic.arrivals)
    # The same content with another visibility changes only that.
    put(hub, files, "two")
    put(hub, files, "three", private=False)
    assert history(hub)[3:] == ["private", "public"]
    assert len(hub.traffic.arrivals) == commits
    put(hub, files | {"config.json": ByteFile.literal("[]")}, "four")
    assert history(hub)[5:] == ["private", "four"]
    # Who sees it is left as its owner made it, where nobody says.
    hub.store.repos[REPO].show(False, False)
    put(hub, files, "five", private=None)
    assert history(hub)[7:] == ["public", "five"]


def test_a_gated_one_is_never_open(hub: LocalHub, files: Files) -> None:
    put(hub, files, "one", private=False, gated="manual")
    repo = hub.store.repos[REPO]
    assert repo.seen[-1] == (False, "manual")
    assert (False, False) not in repo.seen
    repo.show(False, False)
    put(hub, files | {"config.json": ByteFile.literal("[]")}, "two", private=False, gated="auto")
    assert history(hub)[-3:] == ["public", "auto", "two"]


@pytest.fixture
def sharing(
    hub: LocalHub, files: Files, weights: Callable[[int], ByteFile]
) -> tuple[Files, Elsewhere]:
    """Another member with the same first shard, and where the first one is."""
    done = publish(REPO, files, message="one", endpoint=hub.endpoint)
    others = {
        "README.md": ByteFile.literal(CARD),
        "model-00001-of-00003.safetensors": weights(1),
        "model-00002-of-00003.safetensors": weights(3),
        "model-00003-of-00003.safetensors": weights(4),
    }
    return others, Elsewhere(REPO, done.commit, done.files)


def test_equal_files_are_copied_by_the_hub(hub: LocalHub, sharing: tuple[Files, Elsewhere]) -> None:
    others, first = sharing
    publish(OTHER, others, message="one", elsewhere=[first], endpoint=hub.endpoint)
    assert hub.files(OTHER) == contents(others)
    totals = hub.traffic.totals()[OTHER]
    size = others["model-00001-of-00003.safetensors"].size
    assert totals["copied"] == size
    assert totals["xet"] < 2.1 * size
    # Within a repository as well: its shards are counted anew, and one of them is the same.
    names = sorted(others)
    fewer = {"README.md": others["README.md"], "model-00001-of-00002.safetensors": others[names[1]],
             "model-00002-of-00002.safetensors": others[names[2]]}  # fmt: skip
    sent = hub.traffic.sent()
    publish(OTHER, fewer, message="two", endpoint=hub.endpoint)
    assert hub.files(OTHER) == contents(fewer)
    assert hub.traffic.sent() == sent


@pytest.mark.parametrize("how", ["gone", "refused"])
def test_what_cannot_be_copied_is_sent(
    hub: LocalHub, sharing: tuple[Files, Elsewhere], how: str
) -> None:
    others, first = sharing
    if how == "gone":
        hub.store.remove(hub.store.repos[REPO])
    else:
        hub.refuse("lfs-files/duplicate", 403)
    publish(OTHER, others, message="one", elsewhere=[first], endpoint=hub.endpoint)
    assert hub.files(OTHER) == contents(others)
    assert hub.commits(OTHER) == ["one"]
