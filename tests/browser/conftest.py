"""A Chromium for the tests that need one, and a running front end."""

import shutil
from collections.abc import Iterator

import pytest

from tests.app.conftest import Front, database, hub, make_front, originals

__all__ = ["Front", "browser", "database", "hub", "make_front", "originals"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()
