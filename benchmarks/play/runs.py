"""What is run: every size by reference and alone in turn, then switching, then what it takes."""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import boomerang
from boomerang.family.ladder import Member
from boomerang.family.pair import Pair
from boomerang.processes.dialogue import Dialogue

PLAY = (sys.executable, "-m", "boomerang.play")
ALONE = (sys.executable, "-m", "benchmarks.play.alone")
SWITCHES = 300
"""Changes of size, each to another than before."""


@dataclass(frozen=True)
class Options:
    """Tokens that are written, rounds of each contender, and what it runs on.

    Of more than `sizes` sizes that many are measured, the smallest and the largest among them.
    """

    tokens: int
    rounds: int
    device: str
    dtype: str
    prompt: str
    sizes: int


@dataclass
class Size:
    """One size: seconds for a token in each round, by reference, drafted and alone; and texts.

    Each is of a clock and of the processor, which other programs do not change much.
    """

    member: Member
    ours: list[tuple[float, float]] = field(default_factory=list)
    drafted: list[tuple[float, float]] = field(default_factory=list)
    alone: list[tuple[float, float]] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)

    def ratio(self, over: str, under: str, clock: int = 0) -> float:
        """Tokens a second of one to those of another: the median of the rounds' ratios."""
        return median(
            b[clock] / a[clock]
            for a, b in zip(getattr(self, over), getattr(self, under), strict=True)
        )

    def speed(self, of: str) -> float:
        """Tokens a second, by the clock."""
        return 1 / median(seconds for seconds, _ in getattr(self, of))


@dataclass
class Found:
    """What was measured of one pair; bytes, milliseconds.

    `files` are the weights of both models as files, `held` the parameters that are held of them in
    `dtype`, `bare` what a process takes that has loaded a pair of no size, `loaded` what the
    process takes once the pair is there, `used` after every size has written.
    """

    name: str
    layers: int
    files: int
    held: int
    dtype: str
    bare: int
    loaded: int
    used: int
    sizes: list[Size]
    first: list[float]
    first_busy: list[float]
    again: list[float]
    begun: list[float]


def run(
    name: str, folders: tuple[Path, Path], bare: int, options: Options,
    say: Callable[[str], object],
) -> Found:  # fmt: skip
    """Measure one pair; `bare` is what the process takes without one."""
    pair = boomerang.open_pair(*folders)
    members = _spread(boomerang.plan(*folders).members, options.sizes)
    with holding(folders, options) as child, TemporaryDirectory() as scratch:
        loaded = resident(child.pid)
        sizes = [Size(member) for member in members]
        for at, size in enumerate(sizes):
            say(f"{name}: {size.member.size} ({at + 1} of {len(sizes)})")
            _in_turn(child, pair, size, Path(scratch) / str(at), options)
        used = resident(child.pid)
        begun = list(_switched(child, [size.member for size in sizes]))
        held = int(child.ready["memory"])
    changes = _put_together(folders, options)
    return Found(
        name, pair.teacher.depth, sum(map(_weights, folders)), held, options.dtype, bare, loaded,
        used, sizes, *changes, begun,
    )  # fmt: skip


def _spread(members: Sequence[Member], most: int) -> list[Member]:
    count = min(most, len(members))
    return [members[at * (len(members) - 1) // max(1, count - 1)] for at in range(count)]


@contextmanager
def holding(folders: tuple[Path, Path], options: Options) -> Iterator[Dialogue]:
    """The process that holds a pair."""
    job = {
        "teacher": str(folders[0]), "student": str(folders[1]),
        "device": options.device, "dtype": options.dtype,
    }  # fmt: skip
    with TemporaryDirectory() as folder, Dialogue(PLAY, job, Path(folder)) as child:
        yield child


def _in_turn(child: Dialogue, pair: Pair, size: Size, out: Path, options: Options) -> None:
    """Let a size write by reference, with drafts, and alone, round after round."""
    boomerang.assemble(pair, size.member.size, out)
    job = {"folder": str(out), "device": options.device, "dtype": options.dtype}
    ask = {"prompt": options.prompt, "max_tokens": options.tokens}
    ours = ask | {"code": size.member.composition.code}
    with Dialogue(ALONE, job, out.with_suffix(".run")) as alone:
        for round_ in range(options.rounds + 1):
            contenders = [
                (size.ours, child, ours), (size.alone, alone, ask),
                (size.drafted, child, ours | {"draft": True}),
            ]  # fmt: skip
            for seconds, whom, asked in contenders:
                text, took = _written(whom, asked)
                size.texts.add(text)
                # What is done once, as allocating, is done in the first round.
                if round_:
                    seconds.append(took)


def _written(whom: Dialogue, ask: dict[str, Any]) -> tuple[str, tuple[float, float]]:
    """The text of an answer, and seconds for each of its tokens, by the clock and of processor."""
    text, done, before = "", {}, _busy(whom.pid)
    for event in whom.ask(ask):
        text += event.get("text", "")
        done = event
    count = done.get("completion_tokens") or done.get("tokens") or 1
    busy = done.get("busy") or _busy(whom.pid) - before
    return text, (done["seconds"] / count, busy / count)


def _busy(pid: int) -> float:
    """Seconds of processor that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _switched(child: Dialogue, members: list[Member]) -> Iterator[float]:
    """Milliseconds from asking another size until it begins, prompt read and all."""
    for at in range(SWITCHES):
        code = members[at % len(members)].composition.code
        asked = time.perf_counter()
        events = child.ask({"prompt": "a", "code": code, "max_tokens": 1})
        next(events)
        yield 1e3 * (time.perf_counter() - asked)
        for _ in events:
            pass


def _put_together(folders: tuple[Path, Path], options: Options) -> tuple[list[float], ...]:
    """Milliseconds to put together a member that was not, by the clock and of the processor.

    Then those to have one that was.
    """
    from boomerang.family.composition import Choice, Composition
    from boomerang.play.held import Held
    from boomerang.play.job import PlayJob

    held = Held.open(PlayJob(teacher=folders[0], student=folders[1], dtype=options.dtype,
                             device=options.device))  # fmt: skip
    layermap = held.pair.layermap
    first, busy, again = [], [], []
    gc.collect()
    gc.freeze()
    for at in range(SWITCHES):
        patched = {j for j in range(len(layermap.kept)) if (at >> j % 12) & 1 ^ (j % 3 == at % 3)}
        choices = [
            Choice.BLOCK if j in patched else Choice.STUDENT for j in range(len(layermap.kept))
        ]
        code = Composition.of(layermap, choices).code
        held._members.clear()
        before = time.thread_time()
        first.append(held.member(code)[1])
        busy.append(1e3 * (time.thread_time() - before))
        again.append(held.member(code)[1])
    return first, busy, again


def resident(pid: int) -> int:
    """Bytes of memory that a process takes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def ends(values: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    return median(values), quantiles(values, n=100, method="inclusive")[98]
