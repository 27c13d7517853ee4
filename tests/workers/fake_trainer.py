"""Stands for `python -m boomerang.distill`: the same contract, without training anything.

`recipe["fake"]` says how it behaves: quick, slow, error, die, or stuck (the first time only).
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    mode, run, steps = job["recipe"]["fake"], Path(job["run"]), 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (run / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    again = len((run / "starts").read_text().splitlines()) > 1
    say(event="start", steps=steps, parameters=10)
    if mode == "error":
        say(event="error", slug="bad-recipe", detail="No text.", value=None, fix="Give some.")
        sys.exit(1)
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "slow" or (mode == "stuck" and not again):
        for step in range(1, 1000):
            say(event="step", step=step, steps=1000, loss=1 / step)
            time.sleep(0.1)
    for step in range(1, steps + 1):
        say(event="step", step=step, steps=steps, loss=1 / step, ce=1.0, kl=0.5, tokens=step)
    say(event="checkpoint", step=steps)
    making = Path(job["out"] + ".tmp")
    shutil.copytree(Path(job["teacher"]).parent / "student", making)
    making.rename(job["out"])
    say(event="done", out=job["out"])


main()
