"""Every command of the README runs.

The demo's own recipe takes minutes, so smoke stands for it, and so does measuring on all the text.
"""

import json
import lzma
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from tests.support.places import ROOT

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
COMMANDS = [
    line for block in BLOCKS for line in re.sub(r"\\\n\s*", " ", block).splitlines() if line.strip()
]


def _get(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with less text to measure on."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples/kjv", folder / "kjv")
    for name in ("calibration.jsonl.xz", "heldout.jsonl.xz"):
        with lzma.open(ROOT / "examples/kjv" / name) as whole:
            part = list(islice(whole, 2))
        with lzma.open(folder / "kjv" / name, "w") as file:
            file.writelines(part)
    return folder


@pytest.fixture(scope="module")
def port(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    service = subprocess.Popen(
        [sys.executable, "-m", "boomerang", "serve", "--port", str(free)],
        env={**os.environ, "BOOMERANG_HOME": str(home), "BOOMERANG_MODELS": str(examples)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    for line in service.stdout:
        if "Boomerang is at" in line:
            break
    try:
        yield free
    finally:
        service.send_signal(signal.SIGINT)
        service.communicate(timeout=60)
    assert service.returncode == 0


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.timeout(900)
@pytest.mark.long("every command of the README, in order, with real workers")
def test_the_other_commands_run_in_order(port: int, examples: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BOOMERANG_URL": f"http://127.0.0.1:{port}",
        "HF_HOME": str(tmp_path / "hf"),
    }
    (tmp_path / "examples").symlink_to(examples)
    ran = 0
    for command in COMMANDS:
        if command.startswith(("make ", "git ", "cd ")):
            continue
        here = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace(
            '"recipe": "kjv"', '"recipe": "smoke"'
        )
        done = subprocess.run(
            ["bash", "-c", here], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{here}\n{done.stdout}\n{done.stderr}"
        ran += 1
        if "POST" in command:
            _wait(f"http://127.0.0.1:{port}/families")
    assert ran >= 5
    (tar,) = tmp_path.glob("*.tar")
    assert tar.stat().st_size > 3_000_000


def _wait(url: str) -> None:
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        (family,) = _get(url)["families"]  # type: ignore[misc]
        assert family["student"]["state"] not in ("failed", "cancelled"), family["student"]
        if family["measuring"] in ("yes", "failed"):
            return
        time.sleep(0.5)
    raise TimeoutError(f"{url} is not ready")
