"""Trying sizes as a process: `python -m boomerang.play JOB.json`.

It loads one pair, says `ready`, and answers requests that come as JSON lines on stdin, one at a
time and in their order; `{"cancel": ID}` ends one that is being answered or waits. Events are
JSON lines on stdout. Exit status 0 when stdin ends, 1 after an `error` event, 143 when told to
stop.
"""

import gc
import json
import os
import queue
import sys
import threading
import time
from typing import IO, Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from boomerang.errors import BoomerangError, TrainingFailed
from boomerang.play.held import Held
from boomerang.play.job import Ask, PlayJob
from boomerang.play.writing import answer
from boomerang.processes.logs import begin_child_logs
from boomerang.processes.reporting import Reporter, run_job

_LOOK = 0.2
"""Seconds between two looks at whether the process is to stop."""

Request = tuple[dict[str, Any], threading.Event]


class Inbox:
    """Requests as they come in, each with what is set once nobody wants its answer any more."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines = lines
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._cancelled: dict[str, threading.Event] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._lines:
            said = _parsed(line)
            if said.keys() == {"cancel"}:
                if (cancelled := self._cancelled.get(str(said["cancel"]))) is not None:
                    cancelled.set()
            elif line.strip():
                cancelled = self._cancelled[str(said.get("id"))] = threading.Event()
                self._waiting.put((said, cancelled))
        self._waiting.put(None)

    def next(self, report: Reporter) -> Request | None:
        """The next request; None when no more will come.

        Raises Stopped where the process was asked to stop.
        """
        while True:
            report.check()
            try:
                request = self._waiting.get(timeout=_LOOK)
            except queue.Empty:
                continue
            report.check()
            return request

    def answered(self, request: Request) -> None:
        """It is, and cannot be cancelled any more."""
        self._cancelled.pop(str(request[0].get("id")), None)


def _parsed(line: bytes) -> dict[str, Any]:
    """What a line says; nothing where it is no object of JSON."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def main(arguments: list[str]) -> int:
    """Hold the pair of a job file, answer requests, and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report = Reporter()

    def work() -> None:
        begun = time.monotonic()
        held = Held.open(PlayJob.load(arguments[0] if arguments else ""))
        # What is there now stays: a collection that walks over all of it takes longer than a token.
        gc.collect()
        gc.freeze()
        # Not sys.stdin itself, which Python wants to close while a thread still reads from it.
        inbox = Inbox(os.fdopen(os.dup(sys.stdin.fileno()), "rb"))
        report(
            "ready", memory=held.memory, chat=held.prompts.chat, context=held.context,
            device=str(held.couple.teacher.device),
            dtype=str(held.couple.teacher.tokens.weight.dtype).removeprefix("torch."),
            seconds=round(time.monotonic() - begun, 3),
        )  # fmt: skip
        while (request := inbox.next(report)) is not None:
            _answer(held, report, *request)
            inbox.answered(request)

    return run_job(work, report, _failed, SafetensorError)


def _answer(held: Held, report: Reporter, said: dict[str, Any], cancelled: threading.Event) -> None:
    """One request answered, or `failed` with the reason: the pair stays for the next."""
    try:
        answer(held, Ask.read(said), report, lambda: cancelled.is_set() or report.stopping)
    except BoomerangError as error:
        report("failed", id=said.get("id"), slug=error.slug, reason=error.detail, fix=error.fix)
    except (MemoryError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        full = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if isinstance(error, torch.AcceleratorError) and not full:
            raise  # A device that failed once answers nothing more in this process.
        fix = "Ask for fewer tokens, or a shorter prompt." if full else "See the worker's log."
        report("failed", id=said.get("id"), slug="error", reason=f"{reason}.", fix=fix)
        if full and torch.cuda.is_available():
            torch.cuda.empty_cache()


def _failed(error: Exception) -> TrainingFailed:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return TrainingFailed(f"Trying sizes stopped: {said}.", fix="See the log.")


if __name__ == "__main__":
    begin_child_logs()
    sys.exit(main(sys.argv[1:]))
