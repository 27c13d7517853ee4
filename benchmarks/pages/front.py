"""A front end of its own over a full catalog, what it uses, and a distillation that writes."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pages.families import fill
from boomerang.catalog.catalog import Catalog
from boomerang.service.running import parts
from boomerang.service.settings import Settings

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Front:
    """Where it answers, its process, its catalog, and the student that is being distilled."""

    base: str
    pid: int
    catalog: Catalog
    student: str

    def cpu(self) -> float:
        """Seconds of processor that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(folder: Path, families: int, sizes: int, database: str = "") -> Iterator[Front]:
    """A front end in a process, over so many families; `database` is an empty one's address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    settings = Settings(
        home=folder / "home", models=folder, port=port, database_url=database,
        redis_url="redis://127.0.0.1:1/0", hub_endpoint="http://127.0.0.1:1",
    )  # fmt: skip
    catalog = Catalog(settings.database_url)
    student = fill(catalog, families, sizes)
    front = parts.front_end(settings, parts.environment(settings))
    front.start()
    try:
        if not front.wait_until_healthy(60, threading.Event()) or front.pid is None:
            raise RuntimeError(front.log.read_text())
        yield Front(f"http://127.0.0.1:{port}", front.pid, catalog, student)
    finally:
        front.stop()
        catalog.close()


@contextmanager
def distilling(front: Front, steps_a_second: float) -> Iterator[None]:
    """Write progress meanwhile, as a worker does."""
    over = threading.Event()

    def write() -> None:
        step = 0
        while not over.wait(1 / steps_a_second):
            step += 1
            told = {"step": step, "steps": 100_000, "loss": 2.0, "eta_s": 3600.0}
            front.catalog.student_progress(front.student, told)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def share(front: Front, seconds: float) -> float:
    """The part of a core that the front end uses in the next seconds."""
    before, begun = front.cpu(), time.monotonic()
    time.sleep(seconds)
    return (front.cpu() - before) / (time.monotonic() - begun)
