"""The others: nginx, which sends a built file, and mergekit in an environment of its own."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.assembly.runs import Failed

MERGEKIT = ("mergekit==0.1.5", "transformers==5.23.*", "torch==2.13.0")

_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}; location / {{ root {root}; }} }}
}}
"""


@dataclass(frozen=True)
class Server:
    """Something that serves: where, the process that does, and what it says of itself."""

    base: str
    pid: int
    told: dict[str, Any]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Server]:
    """An nginx that serves the files below `root`. Raises Failed where there is none."""
    program = shutil.which("nginx")
    if program is None:
        raise Failed("nginx is not installed (apt-get install nginx-light)")
    folder.mkdir()
    port = free_port()
    (folder / "conf").write_text(_NGINX.format(folder=folder, root=root, port=port))
    process = subprocess.Popen(
        [program, "-c", folder / "conf", "-e", folder / "log"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}", process.pid, {})
    finally:
        process.terminate()
        process.wait()


@contextmanager
def boomerang(folder: Path, models: Path) -> Iterator[Server]:
    """The front end over teacher and student in `models`. Raises Failed."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.assembly.service", folder, models, str(free_port())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise Failed("the front end did not start")
        told = json.loads(line)
        try:
            yield Server(told["base"], told["pid"], told)
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait()


def mergekit(environment: Path) -> Path:
    """Its command, installed on first use into an environment that is kept. Raises Failed."""
    program = environment / "bin" / "mergekit-yaml"
    if not program.exists():
        pip: list[str | Path] = [
            environment / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            *MERGEKIT,
        ]
        steps: list[list[str | Path]] = [[sys.executable, "-m", "venv", environment], pip]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                told = done.stderr.strip().splitlines() or ["pip failed"]
                raise Failed(f"mergekit cannot be installed: {told[-1][:160]}")
    return program


def passthrough(teacher: Path, student: Path, layers: Sequence[str]) -> str:
    """The member as a mergekit configuration (JSON, which is YAML)."""
    sides = {"t": teacher, "s": student}
    slices = [
        {"sources": [{"model": str(sides[layer[0]]),
                      "layer_range": [int(layer[1:]), int(layer[1:]) + 1]}]}
        for layer in layers
    ]  # fmt: skip
    return json.dumps({"slices": slices, "merge_method": "passthrough", "dtype": "bfloat16"})


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise Failed("nginx did not start") from None
            time.sleep(0.02)
