"""Threads of OpenMP sleep soon where nobody has said how they should wait."""

import pytest

from boomerang.processes.json_lines import SPINS, environment


def test_what_was_said_about_waiting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THEIRS", "1")
    assert environment()["GOMP_SPINCOUNT"] == SPINS
    assert environment()["THEIRS"] == "1"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "GOMP_SPINCOUNT" not in environment()
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert environment()["GOMP_SPINCOUNT"] == "7"
