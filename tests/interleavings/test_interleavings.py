"""The catalog keeps its promises in any interleaving, and without one of its guards it does not.

`BOOMERANG_TEST_INTERLEAVINGS=100` tries a hundred times as many, other ones each time, and
mutations that are not tried otherwise (`make chaos-catalog`).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import Session
from boomerang.catalog.records.states import Fact
from boomerang.catalog.stores import ending, measuring, members, provisional, requests, students
from boomerang.catalog.students import distillation
from tests.interleavings.interleavings import Interleavings
from tests.interleavings.stage import staged
from tests.support.databases import new_database

TIMES = int(os.environ.get("BOOMERANG_TEST_INTERLEAVINGS", "1"))
EXAMPLES = 60
"""As many as take a minute of one core on SQLite; every mutation is found within them."""
USUAL = 12
"""As many as every run of the suite tries."""


def _run(
    open_catalog: Callable[[], Catalog], home: Path, examples: int, shrink: bool = True
) -> None:
    profile = settings(
        max_examples=examples * TIMES,
        stateful_step_count=30,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **({} if shrink else {"phases": (Phase.generate,)}),
    )
    with staged():
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            lambda: Interleavings(open_catalog, home), settings=profile
        )


def _on_sqlite(folder: Path, examples: int, shrink: bool = True) -> None:
    def opened() -> Catalog:
        for old in folder.glob("catalog.*"):
            old.unlink()
        return Catalog(f"sqlite:///{folder}/catalog.sqlite")

    _run(opened, folder / "home", examples, shrink)


@pytest.mark.slow("random workers over one catalog, some hundred steps")
@pytest.mark.timeout(300 * TIMES)
def test_interleavings_on_sqlite(tmp_path: Path) -> None:
    _on_sqlite(tmp_path, USUAL if TIMES == 1 else EXAMPLES)


@pytest.mark.long("once more, on PostgreSQL")
@pytest.mark.timeout(300 * TIMES)
def test_interleavings_on_postgresql(postgres: str, tmp_path: Path) -> None:
    _run(lambda: Catalog(new_database(postgres)), tmp_path / "home", 4)


def _skip_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever lost a lease write."""
    monkeypatch.setattr(Session, "guard", lambda *_: None)


def _skip_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every change of state be made."""
    for store in (measuring, members, provisional, requests, students):
        monkeypatch.setattr(store, "check", lambda *_: None)


def _keep_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was built of a student that is made again stay so."""
    really = members.change_fact

    def change(session: Any, row: Any, fact: str, state: Fact, *more: Any) -> None:
        if (fact, row.built, state) != ("built", Fact.YES, Fact.NO):
            really(session, row, fact, state, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(distillation, "change_fact", change)


MUTATIONS: dict[str, tuple[Callable[[pytest.MonkeyPatch], object], str]] = {
    "guard": (_skip_guard, "was believed of a worker"),
    "check": (_skip_check, ", and became "),
    "guard and check": (
        lambda patched: (_skip_guard(patched), _skip_check(patched)),
        "was believed of a worker|, and became ",
    ),
    "outdate": (_keep_built, "built of other bytes"),
    "cancel": (
        lambda patched: patched.setattr(ending, "_wanted", lambda *_: None),
        "waits for its student",
    ),
}
"""What is broken, and what is found then: not just anything."""

QUICK = ("guard", "outdate")
"""Those that are tried every time."""


@pytest.mark.slow("random workers over a catalog that is broken on purpose")
@pytest.mark.timeout(300 * TIMES)
@pytest.mark.parametrize("name", MUTATIONS if TIMES > 1 else QUICK)
def test_a_catalog_without_one_of_its_guards_is_found_out(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mutate, found = MUTATIONS[name]
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=found):
        _on_sqlite(tmp_path, EXAMPLES, shrink=False)
