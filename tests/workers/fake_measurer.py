"""Stands for `python -m boomerang.quality`: the same contract, with invented figures."""

import json
import sys
from pathlib import Path

from boomerang.processes.reporting import Reporter
from boomerang.texts.task_names import harness_version

say = Reporter()


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    order = job["order"] if isinstance(job["order"], list) else [0]
    if not job["tasks_only"]:
        say_members(order)
    for task in job["tasks"]:
        for k, code in enumerate(("sss+sss", "bbb+ttt")):
            if code not in task["known"]:
                say_task(k, task["name"], task["limit"])
    say("done")


def say_task(k: int, name: str, limit: int | None) -> None:
    metric = {"task": name, "metric": "acc", "filter": "none", "value": 0.5 + k / 4,
              "stderr": 0.25, "version": "1", "samples": limit or 99, "shots": 0}  # fmt: skip
    failed = "ConnectionError: no data" if name == "lost" else None
    say("task", k=k, name=name, limit=limit, harness=harness_version(), failed=failed,
        metrics=[] if failed else [metric])  # fmt: skip


def say_members(order: list[int]) -> None:
    say("choosing", looked=3, spent=2.5, of=96.0, eta_s=None)
    say("order", order="klpatch", patch_order=order, calibration_kl={"last": [1.0, 0.0]},
        note="Not all was tried.")  # fmt: skip
    say("measuring", tokens=512, of=65536, eta_s=12.5)
    for k in range(len(order) + 1):
        say("early", k=k, perplexity=99.0, kl=2.0, flags=[], tokens=1024, of=65536)
    say("writing", written=1, of=2, eta_s=0.5)
    for k in range(len(order) + 1):
        say("member", k=k, code="", layers=0, perplexity=9.0 - k, kl=1.0 - k,
            naive_perplexity=20.0, naive_kl=3.0, agreement=0.5 + k / 2, acceptance=0.75,
            drafted=0.75, by_position=[9.5, None],
            errors={"perplexity": 0.25, "kl": None, "windows": 4, "tokens": 1024})  # fmt: skip


main()
