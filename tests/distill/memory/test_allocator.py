"""Memory of large tensors goes back to the system when they are freed."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.long("a process of torch whose memory is looked at")

_HOLES = """
import re, torch
from pathlib import Path
from boomerang.distill.memory.available import give_back_large_blocks
assert {setting}
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
# One block that is freed teaches the C library to keep what is smaller.
torch.ones(6 << 20).sum()
before = resident()
kept = []
for _ in range(16):
    passing, held = torch.ones(1 << 20), torch.ones(1 << 20)
    kept.append(held)
    passing = None
    more = [torch.ones(3 << 18) for _ in range(4)]
    kept.append(more.pop())
    more = None
print(resident() - before)
"""


def held(setting: str) -> int:
    code = _HOLES.format(setting=setting)
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(told.stdout) * 1024


def test_a_process_has_little_more_than_what_its_tensors_take() -> None:
    tensors = 16 * (4 << 20) + 16 * (3 << 20)
    assert held("give_back_large_blocks()") < 1.1 * tensors
