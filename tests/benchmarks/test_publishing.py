"""The benchmark of publishing runs from end to end, at toy size; its kills are real ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.publishing import report
from tests.support.places import ROOT


@pytest.mark.long("a service publishes, and its worker is killed three times")
def test_nothing_is_half_there_or_sent_twice_after_kills(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "benchmarks.publishing", "--toy", "--number", "3", "--lanes", "xet",
         "--folder", folder, "--docs", tmp_path],
        check=True, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    text = (tmp_path / "benchmarks/publishing.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| xet |")]
    travelled, killed = rows[:18], rows[-1]
    assert [row.split("|")[2].strip() for row in travelled[:8]] == [f"size-{n}" for n in range(8)]
    assert killed.split("|")[2].strip() == "3"
    assert "all whole and right, always" in killed
    assert list(folder.iterdir()) == [], "it leaves nothing behind"


def test_a_run_writes_its_part_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    report.update(page, {"Memory": "| a |\n", "Kills": "| b |\n"})
    report.update(page, {"Kills": "| c |\n"})
    text = page.read_text()
    assert "| a |" in text
    assert "| c |" in text
    assert "| b |" not in text
    assert text.count("Not measured yet.") == 1
