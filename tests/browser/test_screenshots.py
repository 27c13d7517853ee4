"""What takes the pictures of pages runs: each page in every width and scheme, and small."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.long("every page is taken four times")]

PAGES = {"home", "new", "family", "distilling", "model", "play", "jobs", "error", "login"}
SHOTS = {f"{width}-{scheme}.jpg" for width in ("desk", "phone") for scheme in ("light", "dark")}


def shots(folder: Path) -> dict[str, set[str]]:
    return {page.name: {file.name for file in page.iterdir()} for page in folder.iterdir()}


def test_every_page_is_taken(browser: object, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.screenshots", "--out", tmp_path / "pages"],
        capture_output=True, text=True, cwd=ROOT, timeout=280,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert shots(tmp_path / "pages") == dict.fromkeys(PAGES, SHOTS)


def test_those_that_are_kept_are_all() -> None:
    assert shots(ROOT / "docs/images/pages") == dict.fromkeys(PAGES, SHOTS)
