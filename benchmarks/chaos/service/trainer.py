"""Stands for `python -m boomerang.distill`: steps that cost time, checkpoints, and a student.

It goes on from its checkpoint and writes down each end, so that one who distils twice is found.
"""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks.chaos.service import toy
from boomerang.errors import no_room
from boomerang.processes.reporting import Reporter

SAVED_EVERY = 10
STEP_SECONDS = 0.05
say = Reporter()


def main() -> None:
    """Distil one student, or say why not."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    run, out, steps = Path(job["run"]), Path(job["out"]), int(job["recipe"]["steps"])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lock = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _refuse("Another trainer has this run.")
    try:
        _train(job, run, out, steps)
    except OSError as error:
        _refuse(f"{error.strerror}.", transient=no_room(error))


def _refuse(detail: str, *, transient: bool = True) -> None:
    say("error", slug="interrupted", detail=detail, value=None, fix="", transient=transient)
    sys.exit(1)


def _train(job: dict[str, object], run: Path, out: Path, steps: int) -> None:
    saved = run / "saved.json"
    step = json.loads(saved.read_text("utf-8"))["step"] if saved.exists() else 0
    say("estimate", memory_bytes=1 << 20, available_bytes=1 << 30)
    say("start", steps=steps, parameters=10, step=step)
    while step < steps:
        step += 1
        time.sleep(STEP_SECONDS)
        say("step", step=step, steps=steps, loss=1 / step, ce=1.0, kl=0.5, tokens=step)
        if step % SAVED_EVERY == 0:
            part = saved.with_suffix(".part")
            part.write_text(json.dumps({"step": step}), "utf-8")
            part.replace(saved)
            say("checkpoint", step=step, seconds=0.01)
    making = out.with_name(f".{out.name}.making")
    kept = [int(one) for one in job["kept"]]  # type: ignore[attr-defined]
    toy.student(Path(str(job["teacher"])), kept, str(job["key"]), making)
    record = {name: job[name] for name in ("key", "teacher_commit", "kept")}
    record |= {"layers": toy.LAYERS, "frozen_embeddings": False}
    (making / "boomerang.json").write_text(json.dumps(record), "utf-8")
    making.rename(out)
    with (out.parent.parent / f"made-{out.name}").open("a", encoding="utf-8") as made:
        made.write(f"{os.getpid()}\n")
    say("done", out=str(out))


if __name__ == "__main__":
    main()
