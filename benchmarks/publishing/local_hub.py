"""The Hub of the tests in a process of its own, and what it says of itself."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

TOKEN = "hf_owner"


@dataclass(frozen=True)
class Hub:
    """A running Hub. Contents lie in `blobs`, by their sha256."""

    url: str
    blobs: Path

    def traffic(self) -> dict[str, Any]:
        """Totals by repository and lane, and every arrival."""
        return dict(self._get("/traffic"))

    def history(self, repo: str) -> dict[str, Any]:
        """Every commit of each branch, newest first, and who could see the repository when."""
        return dict(self._get(f"/history/{repo}"))

    def requests(self) -> int:
        """How many arrived so far."""
        return int(self._get("/requests"))

    def environment(self, xet: bool) -> dict[str, str]:
        """What points a client here."""
        return {
            "HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip

    def _get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=600).raise_for_status().json()


@contextmanager
def local_hub(folder: Path) -> Iterator[Hub]:
    """Run it over a folder."""
    command = [sys.executable, "-m", "tests.local_hub", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split("HF_ENDPOINT=")[1].split()[0]
            yield Hub(url, folder / "blobs")
        finally:
            process.kill()
