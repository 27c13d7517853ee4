"""The child that has a pair in memory: started for the first question, ended when nobody asks.

There is one at a time. A question about another pair ends it and starts another; so does its death.
It is started by a thread of its own, with which it would die.
"""

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from boomerang.processes.talking import Talking
from boomerang.service.playing.asked import Question
from boomerang.service.playing.store import failed, over
from boomerang.service.settings import Settings

log = logging.getLogger("boomerang.workers")

PLAYER = (sys.executable, "-m", "boomerang.play")
SILENT_SECONDS = 900.0
"""How long a child that answers may say nothing: reading the longest prompt takes a slow machine
minutes. One that hangs would have everybody wait for as long as its reader does."""
_POLL_SECONDS = 0.1
_TOLD = ("begun", "text", "done", "failed")

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class PairInMemory:
    """Two folders and which layers the student keeps; `made_of` tells one from its successor."""

    teacher: str
    student: str
    kept: tuple[int, ...]
    made_of: str

    def job(self) -> dict[str, Any]:
        """The job file of whoever plays it."""
        told = asdict(self) | {"kept": list(self.kept), "device": None, "dtype": None}
        del told["made_of"]
        return told | {"context": 2048}


class Player:
    """Answers questions, one at a time, with the child that it keeps."""

    def __init__(self, settings: Settings, stopping: threading.Event) -> None:
        self._settings, self._stopping = settings, stopping
        self._lock = threading.Lock()
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="player")
        self._child: Talking | None = None
        self._ready: dict[str, Any] | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._pair: PairInMemory | None = None
        self._used = time.monotonic()

    def holds(self, pair: PairInMemory) -> bool:
        """Whether a pair is in memory, or is being brought there."""
        return self._pair == pair and self._child is not None and self._child.alive

    def answer(
        self, pair: PairInMemory, code: str, id_: str, question: Question, tell: Tell,
        ended: threading.Event,
    ) -> str:  # fmt: skip
        """Have a member, by its composition's code, answer; return how that ended, in a word.

        Every event of the answer goes to `tell`, whose errors end it. Once `ended` is set it is
        cancelled. A child that dies fails the answer, and the next question starts another.
        """
        with self._lock:
            try:
                if not self.holds(pair):
                    self._begin(pair)
                if self._ready is None:
                    tell({"event": "loading"})
                    said = self._wait(ended)
                    if said is not None:
                        tell(said)
                        return str(said["event"])
                    if self._ready is None:
                        # Whoever asks next finds the pair in memory.
                        return "left"
                return self._ask(code, id_, question, tell, ended)
            finally:
                self._used = time.monotonic()

    def _begin(self, pair: PairInMemory) -> None:
        self._end()
        command = self._settings.player or PLAYER
        self._folder = TemporaryDirectory(prefix="boomerang-play-")
        folder = Path(self._folder.name)
        self._child = self._starter.submit(
            copy_context().run, Talking, command, pair.job(), folder
        ).result()
        self._pair = pair
        log.info("a player was started (process %s)", self._child.pid)

    def _wait(self, ended: threading.Event) -> dict[str, Any] | None:
        """Wait until the child is ready, or nobody asks any more; the event where it failed."""
        while self._ready is None and not ended.is_set():
            event = self._next()
            if event is None:
                continue
            if event["event"] == "ready":
                self._ready = event
            elif event["event"] == "gone":
                return self._lost()
            elif event["event"] in ("error", "failed"):
                reason = str(event.get("detail") or event.get("reason") or "it failed")
                self._end()
                return failed(reason, str(event.get("fix") or ""))
        return None

    def _ask(
        self, code: str, id_: str, question: Question, tell: Tell, ended: threading.Event
    ) -> str:
        child = self._child
        assert child is not None  # noqa: S101 - it has just been ready
        child.tell({"id": id_, "code": code, **question.told()})
        cancelled: float | None = None
        heard = time.monotonic()
        while True:
            if ended.is_set() and cancelled is None:
                cancelled = time.monotonic()
                child.tell({"cancel": id_})
            event = self._next()
            if event is not None:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENT_SECONDS:
                self._end()
                tell(failed("the player said nothing more", "Ask again.", again=True))
                return "killed"
            if event is not None and event["event"] == "gone":
                tell(self._lost())
                return "died"
            if event is not None and event.get("id") == id_ and event["event"] in _TOLD:
                try:
                    tell(_relayed(event))
                except BaseException:
                    # What it still says is of a question that nobody knows any more.
                    child.tell({"cancel": id_})
                    raise
                if over(event):
                    return str(event.get("finish_reason") or "failed")
            if cancelled is not None and time.monotonic() - cancelled > self._settings.stop_seconds:
                self._end()
                return "killed"

    def _next(self) -> dict[str, Any] | None:
        """The child's next event, `gone` once it has ended; None where none comes at once."""
        assert self._child is not None  # noqa: S101 - there is one while somebody asks
        try:
            return self._child.event(_POLL_SECONDS) or {"event": "gone"}
        except queue.Empty:
            return None

    def _lost(self) -> dict[str, Any]:
        reason = self._child.reason if self._child is not None else "it ended"
        log.warning("the player ended: %s", reason)
        self._end()
        return failed(reason, "Ask again: it is started anew.", again=True)

    def look(self) -> None:
        """End the child where nobody has asked for long, or the worker stops; told now and then."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            idle = time.monotonic() - self._used >= self._settings.play_idle
            if self._child is not None and (idle or self._stopping.is_set()):
                self._end()
        finally:
            self._lock.release()

    def _end(self) -> None:
        child, self._child, self._ready, self._pair = self._child, None, None, None
        folder, self._folder = self._folder, None
        if child is not None:
            child.stop(self._settings.stop_seconds)
            log.info("the player was ended (process %s)", child.pid)
        if folder is not None:
            folder.cleanup()

    def close(self) -> None:
        """End it for good, once what is under way is over."""
        with self._lock:
            self._end()
        self._starter.shutdown()


def _relayed(event: dict[str, Any]) -> dict[str, Any]:
    """An event as its reader gets it."""
    if event["event"] == "failed":
        return failed(str(event.get("reason") or "it failed"), str(event.get("fix") or ""))
    return {name: value for name, value in event.items() if name != "id"}
