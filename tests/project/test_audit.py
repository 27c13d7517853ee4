"""Versions of the lock that have a vulnerability are named, and those that nobody could look up."""

import pytest

from tools.audit import report


def test_it_names_what_is_known_and_counts_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    flaw = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "Bad."}
    found = [
        {"name": "good", "version": "2", "vulns": []},
        {"name": "bad", "version": "1.0", "vulns": [flaw]},
        {"name": "unknown", "skip_reason": "not found"},
    ]
    assert report("some.lock", found) == 1
    assert capsys.readouterr().out.splitlines() == [
        "some.lock: bad 1.0: PYSEC-1, mended in 1.1",
        "some.lock: 2 of 3 looked up, 1 with a vulnerability",
    ]


def test_nothing_known_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("some.lock", []) == 0
    assert "0 of 0 looked up" in capsys.readouterr().out
