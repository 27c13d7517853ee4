"""The commands of docs/hub.md run as they stand there, against a member of the tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.conftest import ROOT, Front

pytestmark = pytest.mark.slow("the page's commands are run as they stand")

TEXT = (ROOT / "docs/hub.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
MEMBER, SERVICE = "boomerang/KJV-1.4M-1.11M", "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def repo(shared: Front) -> str:
    return f"boomerang/teacher-{shared.catalog.members(shared.ready().id)[1].size}"


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 3
    assert all(MEMBER in block and SERVICE in block for block in BLOCKS[1:])


@pytest.mark.long("the page's commands are run as they stand")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(shared: Front, repo: str, block: str, tmp_path: Path) -> None:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    code = block.replace(SERVICE, shared.base).replace(MEMBER, repo).replace("=KJV", "=teacher")
    done = subprocess.run(["bash", "-euc", code], env=environment, cwd=tmp_path, text=True,
                          capture_output=True, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert repo in done.stdout or "And the LORD said" in done.stdout or list(tmp_path.iterdir())
