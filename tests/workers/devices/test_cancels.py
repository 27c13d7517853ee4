"""One question for all that a process works on."""

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boomerang.catalog.catalog import Catalog
from tests.catalog.conftest import new_family, new_student
from workers.devices import cancels
from workers.devices.cancels import Cancels


class Asked:
    """A catalog that counts what it is asked; who asks while it hangs waits."""

    def __init__(self) -> None:
        self.questions: list[frozenset[str]] = []
        self.over: set[str] = set()
        self.hangs = threading.Event()
        self.hangs.set()

    def cancelled(self, subjects: Iterable[str]) -> frozenset[str]:
        self.questions.append(frozenset(subjects))
        assert self.hangs.wait(30)
        return frozenset(self.over)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(cancels, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def watched(asked: Any) -> Cancels:
    return Cancels(asked)


def test_whoever_asks_first_asks_for_all(clock: list[float]) -> None:
    asked = Asked()
    here = watched(asked)
    with ExitStack() as stack:
        ends = [stack.enter_context(here.watching(f"student:{at}")) for at in range(10)]
        for _ in range(20):
            assert not any(end() for end in ends)
            clock[0] += 0.5
        assert asked.questions == [frozenset(f"student:{at}" for at in range(10))] * 20
        asked.over = {"student:3"}
        assert [end() for end in ends] == [at == 3 for at in range(10)]
    with here.watching("student:3") as end:
        asked.over = set()
        assert not end(), "the one before it was cancelled, and that is over"
    assert asked.questions[-1] == {"student:3"}


@pytest.mark.usefixtures("clock")
def test_a_question_that_hangs_is_one_holders_alone(clock: list[float]) -> None:
    asked = Asked()
    here = watched(asked)
    with here.watching("student:a") as hanging, here.watching("student:b") as other:
        asked.hangs.clear()
        thread = threading.Thread(target=hanging)
        thread.start()
        while not asked.questions:
            pass
        assert not other()
        asked.hangs.set()
        thread.join()
        clock[0] += 1
        asked.over = {"student:b"}
        assert other()


def test_the_catalog_says_what_is_cancelled_or_gone(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    keys = [letter * 32 for letter in "ab"]
    families = [catalog.create_family(new_family(key), new_student(key)).family.id for key in keys]
    named = [*(f"student:{key}" for key in keys), *(f"family:{id_}" for id_ in families)]
    named += ["family:gone", "keep:x"]
    assert catalog.cancelled(named) == {"family:gone"}
    catalog.cancel(families[0])
    assert catalog.cancelled(named) == {
        "family:gone", f"family:{families[0]}", f"student:{keys[0]}"
    }  # fmt: skip
    assert catalog.cancelled(()) == frozenset()
    catalog.close()
