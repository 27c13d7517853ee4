"""What every test shares: one thread, quiet libraries, Hypothesis without clocks or files."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "boomerang",
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("boomerang")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test, the README's session, begins first, so that nobody waits for it alone."""
    items.sort(key=lambda item: "test_readme" not in item.nodeid)
