"""The benchmark of pages: what it counts is what happened."""

import time
from pathlib import Path

import pytest

from benchmarks.pages.__main__ import PAGES, _pages
from benchmarks.pages.front import distilling, running, share

pytestmark = pytest.mark.long("a front end of its own")


def test_it_counts_a_front_end_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path, 3, 2) as front:
        before = front.cpu()
        _pages(front, 20)
        said = capsys.readouterr().out
        assert [line.split()[0] for line in said.splitlines()] == list(PAGES)
        assert front.cpu() > before
        with distilling(front, 50):
            begun, used = time.monotonic(), share(front, 0.5)
        assert 0 <= used < 2
        assert front.catalog.student(front.student).step >= 0.5 * (time.monotonic() - begun)
