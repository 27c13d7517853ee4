"""The benchmark of trying sizes runs from end to end, at toy size."""

import subprocess
import sys

import pytest

from tests.support.places import ROOT


@pytest.mark.long("a whole benchmark at toy size")
def test_every_size_writes_what_it_writes_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.play", "--toy", "--rounds", "1", "--tokens", "8",
         "--sizes", "3"],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    sizes = [row for row in lines if len(row) == 8 and row[0].strip() != "size"]
    assert len(sizes) == 5
    assert {row[-1].strip() for row in sizes} == {"equal"}
    assert all(float(row[4]) > 0.3 for row in sizes)
    changes = [row for row in lines if "first time" in row[0]]
    assert len(changes) == 2
    assert all(float(row[1]) < 10 for row in changes)
