"""Stands for `python -m boomerang.distill`: the same contract, without training anything.

`recipe["fake"]`, or else the recipe's name, says how it behaves: quick, slow, error, die, or stuck
(the first time only); away and crash end the first time, for the Hub and without a word; progress
is killed four times, each time after another checkpoint, and greedy as long as it takes more than
one sequence at a time.
"""

import json
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from boomerang.processes.logs import begin_child_logs
from boomerang.processes.reporting import Reporter

say = Reporter()
log = logging.getLogger("boomerang.job")


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    recipe, run, steps = job["recipe"], Path(job["run"]), 4
    mode = recipe.get("fake") or recipe["name"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if mode != "crash":
        begin_child_logs()
    log.info("begun")
    with (run / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    starts = len((run / "starts").read_text().splitlines())
    again = starts > 1
    say("estimate", memory_bytes=3 << 30, available_bytes=2 << 30)
    step = starts - 1 if mode == "progress" else 0
    say("start", steps=steps, parameters=10, step=step)
    if mode == "away" and not again:
        say("error", slug="hub-failure", detail="The Hub is away.", value=None, fix="",
            transient=True)  # fmt: skip
        sys.exit(1)
    if mode == "crash" and not again:
        sys.exit("a bug")
    if mode == "progress" and starts < 5:
        say("step", step=starts, steps=5)
        say("checkpoint", step=starts)
    if (mode == "progress" and starts < 5) or (mode == "greedy" and job.get("micro_batch", 8) > 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "error":
        say("error", slug="bad-recipe", detail="No text.", value=None, fix="Give some.")
        sys.exit(1)
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "slow" or (mode == "stuck" and not again):
        for step in range(1, 1000):
            say("step", step=step, steps=1000, loss=1 / step)
            time.sleep(0.1)
    for step in range(1, steps + 1):
        say("step", step=step, steps=steps, loss=1 / step, ce=1.0, kl=0.5, tokens=step)
    say("checkpoint", step=steps)
    making = Path(job["out"] + ".tmp")
    shutil.copytree(Path(job["teacher"]).parent / "student", making)
    config = json.loads((Path(job["teacher"]) / "config.json").read_text())
    record = {name: job[name] for name in ("key", "teacher_commit", "kept")}
    record |= {"layers": config["num_hidden_layers"], "frozen_embeddings": False}
    (making / "boomerang.json").write_text(json.dumps(record))
    making.rename(job["out"])
    say("done", out=job["out"])


main()
