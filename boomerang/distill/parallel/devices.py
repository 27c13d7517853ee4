"""Many processes that train one student: who they are, and how they agree.

Started by `torchrun`, which also ends all of them where one has died. What they exchange to agree
goes over gloo, apart from the tensors, so that no process waits for a device that will not answer.
Where each goes its own way there is a board, which all can write to and read at any time.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from boomerang.distill.memory.estimate import is_memory
from boomerang.errors import BoomerangError, Interrupted, TrainingFailed, as_json, from_json
from boomerang.processes.reporting import Reporter, Stopped

T = TypeVar("T")

_TOLD = 1 << 13
"""Bytes in which a process tells the others why it cannot go on."""
_MEMORY = "memory"

_POLL_SECONDS = 0.02
_BUSY_SECONDS = 1.0
"""How often a process that keeps the others waiting says so."""


class Word(IntEnum):
    """What a process says at a meeting; all of them hear the gravest."""

    FINE = 0
    BUSY = 1
    STOP = 2
    FELL = 3


class Fallen(Exception):
    """Another process could not go on."""


class Gone(Interrupted):
    """Another process does not answer."""


class _Called(Exception):
    """Another process has called all of them together."""


@dataclass
class Devices:
    """The processes of a distillation, of which this is `rank` of `world`.

    Every exchange is a *meeting*, or begins with one: all processes hold the same meetings in the
    same order, and one that cannot go on says so at whichever comes next (`together`). A process
    alone meets nobody.
    """

    rank: int = 0
    world: int = 1
    local: int = 1
    """Processes on this machine."""
    group: dist.ProcessGroup | None = None
    board: Store | None = None
    _apart: int = 0
    _settled: Exception | None = None

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world == 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def meet(self, word: Word = Word.FINE) -> Word:
        """Say a word, and hear the gravest of all.

        Raises Fallen where another process fell, Gone where one does not answer.
        """
        if self.alone:
            return word
        said = torch.tensor(int(word))
        try:
            dist.all_reduce(said, dist.ReduceOp.MAX, group=self.group)
        except RuntimeError as error:
            raise gone(error) from error
        heard = Word(int(said))
        if heard is Word.FELL and word is not Word.FELL:
            raise Fallen
        return heard

    def check(self, report: Reporter) -> None:
        """Raise Stopped, in all processes, where any of them was asked to stop."""
        if self.alone:
            report.check()
        elif self.meet(Word.STOP if report.stopping else Word.FINE) is Word.STOP:
            raise Stopped

    @contextmanager
    def apart(self, report: Reporter) -> Iterator[Callable[[], None]]:
        """A stretch in which each process goes its own way, with a check to call now and then.

        One that is asked to stop, or falls, calls the others, who leave the stretch at their next
        check. Raises, in all of them, Stopped or Fallen at its end.
        """
        if self.alone or self.board is None:
            yield report.check
            return
        self._apart += 1
        board, call, word = self.board, str(self._apart), Word.FINE

        def check() -> None:
            report.check()
            if board.check([call]):
                raise _Called

        try:
            yield check
        except _Called:
            pass
        except Stopped:
            word = Word.STOP
            board.set(call, "")
        except Exception:
            # Where the board has gone, so have those who would read it.
            with suppress(RuntimeError):
                board.set(call, "")
            raise
        if self.meet(word) is Word.STOP:
            raise Stopped

    def share(self, rows: Tensor) -> Tensor:
        """The rows (R, …) that fall to this process: R / world of them, or one more; maybe none."""
        return rows if self.alone else torch.tensor_split(rows, self.world)[self.rank]

    def portion(self, memory: int) -> int:
        """What falls to this process of a machine's memory, where its processes share that."""
        return memory if torch.cuda.is_available() else memory // self.local

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes; on the CPU unless this process is alone."""
        if self.alone:
            return values
        self.meet()
        total = values.detach().to("cpu", copy=True)
        dist.all_reduce(total, group=self.group)
        return total

    def least(self, value: int) -> int:
        """The least of what the processes have."""
        if self.alone:
            return value
        self.meet()
        found = torch.tensor(value)
        dist.all_reduce(found, dist.ReduceOp.MIN, group=self.group)
        return int(found)

    def same(self, value: T) -> T:
        """The first process's value."""
        if self.alone:
            return value
        self.meet()
        box: list[T | None] = [value if self.first else None]
        dist.broadcast_object_list(box, src=0, group=self.group)
        return cast("T", box[0])

    def now(self) -> float:
        """Seconds on the first process's clock, so that all of them decide alike."""
        return self.same(time.monotonic())

    def wait_for(self, ready: Callable[[], bool], report: Reporter) -> None:
        """Wait until something is ready for the first process. Raises Stopped."""
        while not self.same(self.first and ready()):
            self.check(report)
            time.sleep(_POLL_SECONDS)

    def after_first(self, make: Callable[[Callable[[], None]], T], report: Reporter) -> T:
        """`make(tick)` in the first process, then in the others, which find what it has left.

        `tick` is for `make` to call now and then. Raises what `make` raises, Stopped, Fallen.
        """
        if self.alone:
            return make(report.check)
        if self.first:
            made = make(self._ticker(report))
            self.meet()
            return made
        while (heard := self.meet(Word.STOP if report.stopping else Word.FINE)) is not Word.FINE:
            if heard is Word.STOP:
                raise Stopped
        return make(lambda: None)

    def _ticker(self, report: Reporter) -> Callable[[], None]:
        last = time.monotonic()

        def tick() -> None:
            nonlocal last
            if time.monotonic() - last < _BUSY_SECONDS:
                return
            if self.meet(Word.STOP if report.stopping else Word.BUSY) is Word.STOP:
                raise Stopped
            last = time.monotonic()

        return tick

    @contextmanager
    def together(self) -> Iterator[None]:
        """A stretch of work that all processes finish, or all leave for one and the same reason.

        Raises, in all of them, the error of the one that fell: MemoryError or RuntimeError "out
        of memory" where it was memory alone; Gone where a process has ended without a word.
        """
        try:
            yield
            self.meet()
        except (Stopped, Gone):
            raise
        except Exception as error:
            if self.alone or error is self._settled:
                raise
            self._settled = self._cause(error)
            if self._settled is error:
                raise
            raise self._settled from error

    def _cause(self, error: Exception) -> Exception:
        """The reason why all must leave: that of the first one that was no lack of memory."""
        mine = None if isinstance(error, Fallen) else error
        try:
            if mine is not None:
                self.meet(Word.FELL)
            told = [torch.empty(_TOLD, dtype=torch.uint8) for _ in range(self.world)]
            dist.all_gather(told, _written(mine, self.rank), group=self.group)
        except (Gone, RuntimeError) as silence:
            # The connection may have broken in the middle of an exchange of tensors.
            known = isinstance(mine, BoomerangError | OSError) or (mine and is_memory(mine))
            return mine if mine is not None and known else gone(mine or silence)
        causes = [cause for data in told if (cause := _read(data)) is not None]
        worst = next((cause for cause in causes if not is_memory(cause)), causes[0])
        kin = mine is not None and is_memory(mine) == is_memory(worst)
        return mine if mine is not None and kin else worst


def _written(error: Exception | None, rank: int) -> Tensor:
    """A reason as the others read it: JSON in bytes, zeros after it (_TOLD,)."""
    said: dict[str, object] = {}
    if isinstance(error, BoomerangError):
        said = as_json(error)
    elif error is not None:
        what = " ".join(str(error).split())[:300]
        said = {"kind": _MEMORY, "detail": what}
        if not is_memory(error):
            name = type(error).__name__
            detail = f"Process {rank} of the trainer stopped: {what or name}."
            said = as_json(TrainingFailed(detail, value=name, fix="See the trainer's log."))
    data = json.dumps(said, ensure_ascii=False).encode(errors="replace")
    return torch.tensor([*data.ljust(_TOLD, b"\0")], dtype=torch.uint8)


def _read(data: Tensor) -> Exception | None:
    """What another process wrote; None where it has no reason of its own."""
    said = json.loads(bytes(data.tolist()).rstrip(b"\0"))
    if not said:
        return None
    if said["kind"] == _MEMORY:
        return MemoryError(said["detail"])
    return from_json(said)


def gone(error: Exception) -> Gone:
    """The error for a process that does not answer, from that of the connection to it."""
    return Gone(
        f"Another process of this run has ended: {' '.join(str(error).split())[:200]}.",
        value=type(error).__name__,
        fix="See the trainer's log, then run the job again: it goes on from its checkpoint.",
    )


def told_rank() -> int:
    """The rank that torchrun gave this process; 0 for one that it did not start."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def leave(status: int) -> NoReturn:
    """End the process with a status."""
    if not dist.is_torchelastic_launched():
        sys.exit(status)
    # Threads of gloo may hold a last tensor, and abort where they let go of it while Python ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def joined() -> Iterator[Devices]:
    """Join the processes that torchrun started; without it, stay alone. On CUDA each has a device.

    Raises TrainingFailed where there are more processes on this machine than devices.
    """
    if not dist.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield Devices()
        return
    here, local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    cuda = torch.cuda.is_available()
    if cuda and local > torch.cuda.device_count():
        raise TrainingFailed(
            f"{local} processes were started for {torch.cuda.device_count()} devices.",
            value=local,
            fix="Give torchrun an --nproc-per-node of at most that.",
        )
    if cuda:
        torch.cuda.set_device(here)
    store, rank, world = next(rendezvous("env://"))
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world)
    group = dist.new_group(backend="gloo")
    yield Devices(rank, world, local, group, PrefixStore("boomerang", store))
    # After an error the process ends anyway, and this could wait for one that never answers.
    dist.destroy_process_group()
