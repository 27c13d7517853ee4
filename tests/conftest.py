"""What every test shares: one thread, quiet libraries, Hypothesis without clocks or files,
and the databases."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from boomerang import retries
from boomerang.processes import trace
from tests.support.databases import BOTH, empty_database, new_database, postgres_server
from tests.support.slow import note_reasons, say_slow

RANDOM = "BOOMERANG_TEST_RANDOM" in os.environ
"""Whether each run draws other examples, and also numbers that stand in our own code."""

if not RANDOM:
    # It would draw what stands in the modules that happen to be loaded, as no setting says.
    providers._get_local_constants = Constants

settings.register_profile(
    "boomerang",
    database=None,
    deadline=None,
    # The same examples in every run: what is refused is refused again, and not by chance.
    derandomize=not RANDOM,
    max_examples=int(os.environ.get("BOOMERANG_TEST_EXAMPLES", "30")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("boomerang")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test, the README's session, begins first, so that nobody waits for it alone."""
    items.sort(key=lambda item: "test_readme" not in item.nodeid)
    note_reasons(items)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Which tests were slow, and why."""
    say_slow(terminalreporter)


@pytest.fixture(autouse=True)
def whole_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait is shorter than it may be, so that tests can name it."""
    monkeypatch.setattr(retries, "draw", lambda: 1.0)


@pytest.fixture(autouse=True)
def nobodys_request() -> Iterator[None]:
    """No test is done for the request of one before it, which a server here leaves as it is."""
    with trace.following(None):
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    with postgres_server() as address:
        yield address


@pytest.fixture
def on_postgres(request: pytest.FixtureRequest) -> str:
    """The address of an empty database of PostgreSQL."""
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture(params=BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    return empty_database(request, tmp_path)
