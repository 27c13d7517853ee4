"""Stands for `python -m boomerang.play`: the same contract; it says the prompt's words in turn."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue

from boomerang.processes.reporting import Reporter

say = Reporter()
asked: "SimpleQueue[dict | None]" = SimpleQueue()
cancelled: set[str] = set()


def listen() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        if "cancel" in told:
            cancelled.add(told["cancel"])
        else:
            asked.put(told)
    asked.put(None)


def answer(told: dict) -> None:
    id_, started = told["id"], time.monotonic()
    text = told.get("prompt") or told["messages"][-1]["content"]
    words = text.split() or ["nothing"]
    if "die" in words:
        os._exit(7)
    if "refuse" in words:
        say("failed", id=id_, reason="it refuses.", fix="Ask something else.")
        return
    if "hang" in words:
        time.sleep(3600)
    if "where" in words:
        say("failed", id=id_, reason=f"there is no {job['teacher']}/config.json.", fix="")
        return
    say("begun", id=id_, prompt_tokens=len(words), switch_ms=0.5)
    count, finish = 0, "length"
    for count in range(1, told["max_tokens"] + 1):
        if id_ in cancelled:
            count, finish = count - 1, "cancelled"
            break
        say("text", id=id_, text=f"{words[(count - 1) % len(words)]} ", tokens=count)
        if words[(count - 1) % len(words)] in told.get("stop", ()):
            finish = "stop"
            break
        if "slowly" in words:
            time.sleep(0.05)
    seconds = time.monotonic() - started
    say("done", id=id_, finish_reason=finish, prompt_tokens=len(words), completion_tokens=count,
        seconds=seconds, tokens_per_s=count / max(seconds, 1e-9))  # fmt: skip


job = json.loads(Path(sys.argv[1]).read_text())


def main() -> None:
    threading.Thread(target=listen, daemon=True).start()
    # Which process has which pair, for whoever looks.
    with (Path(job["teacher"]).parent / "players").open("a") as log:
        log.write(f"{os.getpid()} {job['student']}\n")
    if (Path(job["teacher"]).parent / "no-player").exists():
        say("error", slug="unusable", detail="It has no memory.", value=None, fix="Buy some.")
        sys.exit(1)
    say("ready", memory=1 << 20, chat=True, seconds=0.1)
    while (told := asked.get()) is not None:
        answer(told)


main()
