"""One run of one command: how long, how much memory, and when its first byte came.

This module imports little: a child's peak memory is counted from that of the process that starts
it, so the runner has to stay smaller than everything it measures.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Arguments = Sequence[str | Path]


class Failed(Exception):
    """A command that was to be measured did not work."""


@dataclass(frozen=True)
class Sample:
    """One run: wall seconds, peak resident bytes, seconds to the first byte of an answer."""

    seconds: float
    memory: int
    first_byte: float | None = None


@dataclass
class Contender:
    """Something to be measured, how often, and what came of it (or why nothing did).

    `against` names the copy that its time is divided by, `like` the one that does as much as it
    does (synced or not, cold or not), `start` the contender that does the same with a toy.
    """

    title: str
    run: Callable[[], Sample]
    rounds: int
    against: str = ""
    start: str = ""
    like: str = "cp"
    why_not: str = ""
    samples: list[Sample] = field(default_factory=list)


def measure(contenders: Iterable[Contender], say: Callable[[str], None]) -> None:
    """Run all of them in turn, round after round, so that a slow minute falls on all alike."""
    contenders = list(contenders)
    for number in range(max(one.rounds for one in contenders)):
        for one in contenders:
            if number >= one.rounds or one.why_not:
                continue
            try:
                one.samples.append(one.run())
            except (Failed, OSError) as error:
                one.why_not = str(error)
                say(f"{one.title}: {error}")
            else:
                say(f"{number + 1}. {one.title}: {one.samples[-1].seconds:.3f} s")


def command(arguments: Arguments, environment: Mapping[str, str] | None = None) -> Sample:
    """Run a command to its end. Raises Failed with the last line it wrote."""
    started = time.monotonic()
    with subprocess.Popen(
        [str(argument) for argument in arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **(environment or {})},
    ) as child:  # fmt: skip
        output = child.stdout.read() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        lines = output.strip().splitlines() or [f"exit status {child.returncode}"]
        raise Failed(lines[-1].strip()[:200])
    return Sample(seconds, usage.ru_maxrss * 1024)


def download(url: str, server: int, part: str = "0-") -> Sample:
    """Fetch a range of a URL to /dev/null with curl; the memory is that of the server process."""
    shown = "%{http_code} %{time_starttransfer} %{time_total}"
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--output", os.devnull, "--range", part,
         "--write-out", shown, url],
        capture_output=True, text=True,
    )  # fmt: skip
    code, first, total = (done.stdout.split() or ["000", "0", "0"])[:3]
    if done.returncode or not code.startswith("2"):
        raise Failed(done.stderr.strip() or f"HTTP status {code}")
    return Sample(float(total), peak(server), float(first))


def downloads(url: str, server: int, clients: int) -> Sample:
    """Fetch a URL with several curls at once; the seconds are those of all ÷ `clients`."""
    started = time.monotonic()
    curl = ["curl", "--silent", "--fail", "--output", os.devnull, url]
    running = [subprocess.Popen(curl) for _ in range(clients)]
    statuses = [one.wait() for one in running]
    seconds = time.monotonic() - started
    if any(statuses):
        raise Failed(f"curl ended with {max(statuses)}")
    return Sample(seconds / clients, peak(server))


def peak(process: int) -> int:
    """Peak resident bytes of a running process so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def clean(*paths: Path) -> None:
    """Remove what an earlier run left, and have it gone before the clock starts."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    os.sync()


def evict(folders: Iterable[Path]) -> None:
    """Have the page cache forget the files of these folders."""
    for folder in folders:
        for path in folder.iterdir():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def python(*arguments: str | Path) -> Arguments:
    """A command of this environment's interpreter."""
    return [sys.executable, *arguments]
