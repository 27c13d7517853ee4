"""Many processes that train one student: who they are, and how they agree.

Started by `torchrun`, which also ends all of them where one has died. What they exchange to agree
goes over gloo, apart from the tensors, so that no process waits for a device that will not answer.
Where each goes its own way there is a board, which all can write to and read at any time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store

from boomerang.distill.memory.available import is_memory
from boomerang.distill.parallel.failures import (
    MESSAGE_BYTES,
    Fallen,
    Gone,
    no_answer,
    read,
    written,
)
from boomerang.errors import BoomerangError
from boomerang.processes.reporting import Reporter, Stopped

T = TypeVar("T")

_POLL_SECONDS = 0.02
_BUSY_SECONDS = 1.0
"""How often a process that keeps the others waiting says so."""


class Word(IntEnum):
    """What a process says at a meeting; all of them hear the gravest."""

    FINE = 0
    BUSY = 1
    STOP = 2
    FELL = 3


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
            raise no_answer(error) from error
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
            # Where the board has no_answer, so have those who would read it.
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
            told = [torch.empty(MESSAGE_BYTES, dtype=torch.uint8) for _ in range(self.world)]
            dist.all_gather(told, written(mine, self.rank), group=self.group)
        except (Gone, RuntimeError) as silence:
            # The connection may have broken in the middle of an exchange of tensors.
            known = isinstance(mine, BoomerangError | OSError) or (mine and is_memory(mine))
            return mine if mine is not None and known else no_answer(mine or silence)
        causes = [cause for data in told if (cause := read(data)) is not None]
        worst = next((cause for cause in causes if not is_memory(cause)), causes[0])
        kin = mine is not None and is_memory(mine) == is_memory(worst)
        return mine if mine is not None and kin else worst
