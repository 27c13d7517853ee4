"""Faults as they strike the service, each ended by itself after its time."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import httpx

from benchmarks.chaos.schedule import Fault
from benchmarks.chaos.service.part import children
from benchmarks.chaos.service.stack import WORKERS, Stack

TRAINER = "service.trainer"
WORKER_NAMES = tuple(WORKERS)


class Strikes:
    """What strikes, and what of it is not over. `said` counts what struck, by kind and target."""

    def __init__(self, stack: Stack, seed: int, tell: Callable[[str], None]) -> None:
        self._stack, self._tell, self._draw = stack, tell, random.Random(f"strikes {seed}")
        self._ends: list[tuple[float, Callable[[], None]]] = []
        self.said: Counter[str] = Counter()

    def strike(self, fault: Fault) -> None:
        """Have a fault begin."""
        target = fault.target
        if target == "trainer" and self._trainer() is None:
            # Nobody distils: whoever would is struck.
            fault = replace(fault, target=self._draw.choice(WORKER_NAMES))
            target += f"'s place, {fault.target}"
        end = getattr(self, f"_{fault.kind}")(fault)
        self.said[f"{fault.kind} {target}"] += 1 if end is not None else 0
        if end is not None:
            self._ends.append((time.monotonic() + fault.seconds, end))

    def look(self, *, all_of_them: bool = False) -> None:
        """End what is over."""
        now = time.monotonic()
        over = [one for one in self._ends if all_of_them or one[0] <= now]
        for one in over:
            self._ends.remove(one)
            one[1]()

    def _trainer(self) -> int | None:
        parts = [self._stack.parts[name].pid for name in WORKERS]
        found = [child for pid in parts if pid for child in children(pid, TRAINER)]
        return self._draw.choice(found) if found else None

    def _kill(self, fault: Fault) -> Callable[[], None] | None:
        if fault.target == "trainer":
            pid = self._trainer()
            if pid is None:
                return None
            _signal(pid, signal.SIGKILL)
            return lambda: None
        part = self._stack.parts[fault.target]
        (part.end if fault.target == "postgres" else part.kill)()
        # It takes seconds to come up, and faults go on meanwhile.
        return lambda: threading.Thread(target=self._start, args=(fault.target,)).start()

    def _start(self, name: str) -> None:
        try:
            self._stack.parts[name].start()
        except TimeoutError as error:
            self._tell(str(error))

    def _freeze(self, fault: Fault) -> Callable[[], None] | None:
        if fault.target == "trainer":
            pid = self._trainer()
            if pid is None:
                return None
            _signal(pid, signal.SIGSTOP)
            return lambda: _signal(pid, signal.SIGCONT)
        part = self._stack.parts[fault.target]
        part.freeze()
        return part.thaw

    def _cut(self, fault: Fault) -> Callable[[], None]:
        self._stack.proxies[fault.target].cut()
        return lambda: None

    def _mode(self, fault: Fault) -> Callable[[], None]:
        proxy = self._stack.proxies[fault.target]
        proxy.set(fault.kind)  # type: ignore[arg-type]
        return lambda: proxy.set("pass")

    _refuse = _slow = _hold = _mode

    def _answer(self, fault: Fault) -> Callable[[], None] | None:
        mode, _, status = fault.target.partition(" ")
        asked = {"pattern": "^(GET|POST|HEAD|PUT) ", "mode": mode, "times": 2}
        told = asked | ({"status": int(status), "retry_after": "1"} if status else {})
        with suppress(httpx.HTTPError):
            self._stack.hub("POST", "/faults", json=told).raise_for_status()
            return lambda: None
        return None

    def _fill(self, _: Fault) -> Callable[[], None]:
        self._stack.full.touch()
        return lambda: self._stack.full.unlink(missing_ok=True)

    def _set(self, fault: Fault) -> Callable[[], None]:
        self._stack.set_clock(fault.amount)
        return lambda: self._stack.set_clock(0)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
