"""Stands for `python -m boomerang.quality`: the same contract, with invented figures."""

import json
import sys
from pathlib import Path


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    order = job["order"] if isinstance(job["order"], list) else [0]
    say(event="order", order="klpatch", patch_order=order, calibration_kl={"last": [1.0, 0.0]})
    for k in range(len(order) + 1):
        say(event="member", k=k, code="", layers=0, perplexity=9.0 - k, kl=1.0 - k,
            naive_perplexity=20.0, naive_kl=3.0)  # fmt: skip
    say(event="done")


main()
