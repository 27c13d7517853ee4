"""The demo's own service: `boomerang serve` as a child on a free port, stopped in the end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx

from boomerang.errors import BoomerangError

START_SECONDS = 120.0
STOP_SECONDS = 60.0


class NotServed(BoomerangError):
    """The demo's service did not start."""

    slug, title = "not-served", "The service did not start"


@contextmanager
def serving(
    home: Path, examples: Path, port: int, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Serve `examples` from `home`; yield URL and process id once it is ready. Raises NotServed."""
    port = port or free_port()
    url, log = f"http://127.0.0.1:{port}", home / "serve.log"
    command = [sys.executable, "-m", "boomerang", "serve", "--port", str(port)]
    with log.open("w", encoding="utf-8") as output:
        # A session of its own: ^C reaches the demo alone, which then stops the service in order.
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(home, examples) | dict(settings or {}),
            start_new_session=True,
        )
        # Told to stop, this process must not leave the service behind.
        before = signal.signal(signal.SIGTERM, _exit)
        try:
            _wait_ready(process, url, log)
            yield url, process.pid
        finally:
            signal.signal(signal.SIGTERM, before)
            _stop(process)


def environment(home: Path, examples: Path) -> dict[str, str]:
    """The environment of this process without the settings of another service."""
    foreign = ("REDIS_URL", "DATABASE_URL", "HF_ENDPOINT")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("BOOMERANG_") and key not in foreign
    }
    return {
        **kept,
        "BOOMERANG_HOME": str(home.absolute()),
        "BOOMERANG_MODELS": str(examples.absolute()),
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    said = log.read_text("utf-8", errors="replace").strip().splitlines()
    raise NotServed(
        f"The service did not come up: {said[-1] if said else 'it said nothing'}.",
        value=url,
        fix=f"See {log} and the folder logs beside it.",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
