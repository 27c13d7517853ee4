"""`GET /models` while a core distils and others download: its rate beside that of an idle service.

Front end and all clients share one core, what distils has the other one. Idle and busy are measured
in turn, again and again, as a machine is not the same from one minute to the next.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.assembly.models import Shape, write

SHAPE = Shape(1024, 2816, 16, 32000, 8)
"""A teacher of 320 MB."""
WARM_SECONDS = 1.0
BLOCK = 1 << 16
KINDS = {
    "idle": "nothing else",
    "busy": "one core distils, 8 download at 5 MB/s",
    "slow": "as busy, and 100 that read 1 kB/s or nothing",
}


@dataclass(frozen=True)
class Rate:
    """Answers a second, and milliseconds within which 99 % of them came."""

    answers: float
    high: float


def options(parser: Any) -> None:
    """What can be asked of this part."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--unpinned", action="store_true", help="let the system place processes")


def measure(asked: argparse.Namespace) -> bool:
    """Idle, busy and busy with slow clients in turn; whether busy keeps its part of idle."""
    cores = sorted(os.sched_getaffinity(0))
    if not asked.unpinned:
        os.sched_setaffinity(0, cores[:1])
    try:
        return _measure(asked, cores[-1:])
    finally:
        os.sched_setaffinity(0, cores)


def _measure(asked: argparse.Namespace, other: Sequence[int]) -> bool:
    found: dict[str, list[Rate]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="boomerang-scale-") as made, _served(Path(made)) as at:
        base, size = at
        for _ in range(asked.rounds):
            for kind, rates in found.items():
                with ExitStack() as stack:
                    if kind != "idle":
                        stack.enter_context(_child("burn", *map(str, other)))
                        stack.enter_context(_child("download", base, size, "8", "5e6"))
                    if kind == "slow":
                        stack.enter_context(_child("download", base, size, "50", "1e3"))
                        stack.enter_context(_child("download", base, size, "50", "0"))
                    time.sleep(WARM_SECONDS)
                    rates.append(_rate(base, asked.seconds or 4))
    where = "anywhere" if asked.unpinned else "front end and clients on one core, work on the other"
    print(f"GET /models, {asked.rounds} rounds ({where})")
    idle = found["idle"]
    fine = True
    for kind, rates in found.items():
        part = statistics.median(r.answers / i.answers for r, i in zip(rates, idle, strict=True))
        high = statistics.median(r.high / i.high for r, i in zip(rates, idle, strict=True))
        each = statistics.median(rate.answers for rate in rates)
        print(f"  {KINDS[kind]}: {each:.0f} a second, {part:.2f} of idle; "
              f"99 % within {statistics.median(r.high for r in rates):.1f} ms, "
              f"{high:.2f} of idle", flush=True)  # fmt: skip
        fine &= part >= 0.7 and high <= 3
    return fine


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, str]]:
    """A front end with one family that is ready: its address, and a size in the middle."""
    data = os.urandom(1 << 22)
    write(folder / "models/teacher", SHAPE, SHAPE.layers, "BF16", data, 1)
    write(folder / "models/student", SHAPE, len(SHAPE.kept), "BF16", data, 2)
    said = json.dumps({"copied_teacher_layers": list(SHAPE.kept)})
    (folder / "models/student/student_config.json").write_text(said)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    module = [sys.executable, "-m", "benchmarks.assembly.service"]
    with subprocess.Popen(
        [*module, str(folder / "home"), str(folder / "models"), str(port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as service:  # fmt: skip
        assert service.stdout is not None
        assert service.stdin is not None
        told = json.loads(service.stdout.readline())
        yield told["base"], told["sizes"]["2"]
        service.stdin.close()


@contextmanager
def _child(*arguments: str) -> Iterator[None]:
    """A process of this module meanwhile."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.scale.serving", *arguments],
                               stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def _rate(base: str, seconds: float) -> Rate:
    """Ask on two connections, each again as soon as it was answered."""
    times: list[float] = []
    threads = [threading.Thread(target=_ask, args=(base, seconds, times)) for _ in range(2)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return Rate(len(times) / took, 1000 * sorted(times)[int(0.99 * len(times))])


def _ask(base: str, seconds: float, times: list[float]) -> None:
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=60)
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        connection.request("GET", "/models")
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()


def _download(base: str, size: str, clients: int, rate: float) -> None:
    """Have so many clients read one size at `rate` bytes a second each, until killed."""
    begun = threading.Semaphore(0)
    for _ in range(clients):
        threading.Thread(target=_client, args=(base, size, rate, begun.release)).start()
    for _ in range(clients):
        begun.acquire()
    print("ready", flush=True)


def _client(base: str, size: str, rate: float, begun: Callable[[], None]) -> None:
    netloc = urlsplit(base).netloc
    asked = f"GET /models/{size} HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n\r\n".encode()
    host, _, port = netloc.rpartition(":")
    block = min(BLOCK, int(rate)) or 1
    while True:
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * BLOCK if rate > 1e5 else 4096)
            link.connect((host, int(port)))
            link.sendall(asked)
            link.recv(1)
            begun()
            if not rate:
                threading.Event().wait()
            began, read = time.monotonic(), 0
            while got := len(link.recv(block)):
                read += got
                time.sleep(max(0.0, read / rate - (time.monotonic() - began)))


def _burn(cores: Sequence[int]) -> None:
    """Train something on one core, until killed."""
    import torch

    if cores:
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(1)
    model = torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(8)))
    optimiser = torch.optim.AdamW(model.parameters())
    print("ready", flush=True)
    while True:
        optimiser.zero_grad()
        model(torch.randn(128, 512)).square().mean().backward()
        optimiser.step()


if __name__ == "__main__":
    if sys.argv[1] == "burn":
        _burn([int(core) for core in sys.argv[2:]])
    else:
        _download(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
