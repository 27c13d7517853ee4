"""The benchmark of assembly runs from end to end, at toy size, and says what it cannot run."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks.assembly import peers
from benchmarks.assembly.runs import Contender, Failed, Sample, command, measure
from benchmarks.assembly.table import lines, markdown
from tests.support.places import ROOT


@pytest.mark.long("a whole benchmark at toy size")
def test_it_runs_where_nginx_is_missing(tmp_path: Path) -> None:
    tools, folder, docs = tmp_path / "bin", tmp_path / "folder", tmp_path / "docs"
    for made in (tools, folder):
        made.mkdir()
    for tool in ("cp", "sh", "sync", "curl"):
        os.symlink(str(shutil.which(tool)), tools / tool)
    subprocess.run(
        [sys.executable, "-m", "benchmarks.assembly", "--toy", "--without-peers", "--rounds", "1",
         "--slow-rounds", "1", "--folder", folder, "--docs", docs],
        check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PATH": str(tools)},
    )  # fmt: skip
    text = (docs / "benchmarks/assembly.md").read_text()
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    rows = {row[1].strip(): row[2:] for row in cells[1:]}
    for title in ("nginx over HTTP, the built file", "nginx, 8 clients at once, time ÷ 8"):
        assert "not installed" in rows.pop(title)[1]
    assert len(rows) == 12
    for title, row in rows.items():
        assert row[0].strip() == "1", (title, row)
        assert float(row[1]) > 0, (title, row)
        assert float(row[5]) > 0, (title, row)
        assert bool(row[6].strip()) is ("HTTP" in title or "first byte" in title)
    assert (docs / "images" / "assembly.png").read_bytes().startswith(b"\x89PNG")
    assert list(folder.iterdir()) == [], "it leaves nothing behind"
    assert str(tmp_path) not in text


def test_mergekit_that_cannot_be_installed_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Failed, match="mergekit cannot be installed"):
        peers.mergekit(tmp_path / "file" / "environment")


def test_a_command_that_fails_is_a_row_and_not_the_end() -> None:
    def fails() -> Sample:
        return command(["sh", "-c", "echo a first line; echo the reason >&2; exit 3"])

    run = Contender("fails", fails, 3)
    fine = Contender("fine", lambda: command(["true"]), 2)
    said: list[str] = []
    measure([run, fine], said.append)
    assert run.why_not == "the reason"
    assert len(fine.samples) == 2
    table = markdown(lines({"fails": run, "fine": fine}), 1)
    assert "| fails | – | the reason |" in table
    assert "fails: the reason" in said


def test_ratios_are_medians_of_pairs_beyond_the_start() -> None:
    def contender(*seconds: float, **facts: str) -> Contender:
        made = Contender("x", lambda: Sample(0, 0), 3, **facts)
        made.samples = [Sample(one, 1) for one in seconds]
        return made

    found = lines({
        "cp": contender(1.0, 2.0, 4.0),
        "start": contender(0.5, 9.0, 0.5),
        "synced": contender(2.0, 4.0, 8.0),
        "ours": contender(2.5, 2.5, 40.5, against="cp", start="start", like="synced"),
    })  # fmt: skip
    assert [line.ratio for line in found] == [None, None, None, 2.5]
    assert found[3].beyond == 1.0
    assert found[3].seconds == 2.5


def test_memory_is_that_of_the_command() -> None:
    """Seen from a small process, as the runner is: a child starts with its parent's peak."""
    program = """
        import sys
        from benchmarks.assembly.runs import command
        small = command([sys.executable, "-c", "pass"])
        large = command([sys.executable, "-c", "x = bytearray(300_000_000)"])
        assert small.memory < 50_000_000 and large.memory > 300_000_000, (small, large)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, cwd=ROOT)


def test_the_runner_stays_small() -> None:
    """What it imports before it measures would be counted as its commands' memory."""
    program = """
        import sys
        import benchmarks.assembly.__main__
        assert not {"numpy", "torch", "resvg_py", "sqlalchemy", "httpx"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, cwd=ROOT)
