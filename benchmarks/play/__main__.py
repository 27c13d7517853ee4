"""`python -m benchmarks.play [TEACHER[:STUDENT]]…`: what trying sizes costs, beside transformers.

Each size writes the same text greedily: by reference out of the process that holds the pair, as
people see it (streamed, decoded, through a pipe), and with transformers' own `generate` on the
size assembled and loaded alone, in turn and round after round.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.assembly.table import machine
from benchmarks.play.pairs import KJV, pairs
from benchmarks.play.runs import Options, run
from benchmarks.play.table import markdown

_BARE = (
    "import re, boomerang.play.__main__, transformers.models.llama.modeling_llama\n"
    "print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"
)


def main() -> None:
    """Measure every pair, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.play", description=__doc__)
    parser.add_argument("pairs", nargs="*", default=[str(KJV)], metavar="TEACHER[:STUDENT]")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--prompt", default="And the LORD said unto Moses,")
    parser.add_argument("--sizes", type=int, default=99, help="of each pair, at most")
    parser.add_argument("--toy", action="store_true", help="a shallow pair, to try it out")
    told = parser.parse_args()
    options = Options(
        told.tokens, told.rounds, told.device, told.dtype, told.prompt, max(2, told.sizes)
    )
    done = subprocess.run([sys.executable, "-c", _BARE], capture_output=True, check=True)
    bare = int(done.stdout) * 1024
    with TemporaryDirectory(prefix="boomerang-play-") as scratch:
        print(f"{machine(Path(scratch))}, {told.device}, {told.dtype}; {told.tokens} tokens, "
              f"medians of {told.rounds} rounds.\n")  # fmt: skip
        for name, teacher, student in pairs(told.pairs, Path(scratch), toy=told.toy):
            print(markdown(run(name, (teacher, student), bare, options, _say)), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
