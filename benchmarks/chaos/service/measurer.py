"""Stands for `python -m boomerang.quality`: the same contract, with invented figures."""

import json
import signal
import sys
import time
from pathlib import Path

from boomerang.processes.reporting import Reporter

say = Reporter()


def main() -> None:
    """Measure every member of one family."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    order = job["order"]
    say("order", order="last", patch_order=order, calibration_kl={"last": [1.0, 0.0]})
    say("measuring", tokens=512, of=65536, eta_s=1.0)
    for k in range(len(order) + 1):
        time.sleep(0.1)
        say("member", k=k, code="", layers=0, perplexity=9.0 - k, kl=1.0 - k / 9,
            naive_perplexity=20.0, naive_kl=3.0, agreement=0.5, acceptance=0.75, drafted=0.75,
            by_position=[9.5, None],
            errors={"perplexity": 0.25, "kl": None, "windows": 4, "tokens": 1024})  # fmt: skip
    say("done")


if __name__ == "__main__":
    main()
