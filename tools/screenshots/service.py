"""A front end in a process of its own, over a home in a folder, with nobody who works."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def serving(home: Path, models: Path, place: Path, **more: str) -> Iterator[str]:
    """The address of a front end, as long as the block lasts; its log lies in `place`."""
    port = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "BOOMERANG_HOME": str(home),
        "BOOMERANG_MODELS": str(models),
        # Nobody is there: what is asked for waits in the catalog, and the pictures are still.
        "BOOMERANG_REDIS_URL": "redis://127.0.0.1:1/0",
        "HF_ENDPOINT": "http://127.0.0.1:1",
        **more,
    }
    home.mkdir(parents=True, exist_ok=True)
    models.mkdir(parents=True, exist_ok=True)
    log = place / "front.log"
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command, "--no-access-log"], env=environment, stdout=out, stderr=out, cwd=place
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{address}/healthz", trust_env=False)
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)
