"""`python -m benchmarks.assembly`: what making one size costs, beside `cp` and other tools.

It makes a teacher and a student, and then, in one run and in turn: copies the member, assembles
it, downloads it from the front end and from nginx, and has mergekit and transformers make it.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.assembly import contenders, table
from benchmarks.assembly.runs import measure

_INTRODUCTION = """# What making one size costs

Written by `make bench-assembly` (`python -m benchmarks.assembly`), which makes a teacher and a
student in the shape of a Llama, of random numbers, and then has everybody make the same member of
{size:.2f} GB, in turn and round after round. Machine: {machine}.

- Times are medians of whole commands, a download's is curl's; `÷ cp` is the median of the ratios
  of the same round.
- `cp` returns before anything is on the disk; `boomerang assemble` returns when everything is (it
  has the disk write while it still copies). Both are shown both ways. Beyond its start ÷ like copy:
  less what the same command needs for a toy, divided by the copy that is synced where it is.
- Warm rows find their sources in the page cache; cold ones were evicted from it first.
- Memory is the peak of the command, or of the serving process; a command's is counted from about
  21 MB, which the runner itself has.
- float32 student: the member takes {cast:.2f} GB of float32 from it, cast to bfloat16.

"""


def main() -> None:
    """Make the checkpoints, measure, and write table and picture."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="boomerang-assembly-", dir=options.folder) as made:
        _say("making the checkpoints")
        bench = contenders.Bench.make(Path(made).resolve(), options)
        with ExitStack() as stack:
            all_ = contenders.copies(bench) | contenders.served(bench, stack)
            if not options.without_peers:
                all_ |= contenders.others(bench, options.mergekit)
            measure(all_.values(), _say)
        lines, size = table.lines(all_), bench.built.stat().st_size
        machine, cast = table.machine(bench.folder), bench.cast
    text = _INTRODUCTION.format(size=size / 1e9, machine=machine, cast=cast / 1e9)
    text += table.markdown(lines, size) + "\n![The same as bars](../images/assembly.png)\n"
    print(text)
    table.picture(
        lines, options.docs / "images" / "assembly.png",
        f"Making one size of {size / 1e9:.2f} GB ({machine})",
    )  # fmt: skip
    (options.docs / "benchmarks").mkdir(parents=True, exist_ok=True)
    (options.docs / "benchmarks/assembly.md").write_text(text, "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assembly", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where 18 GB are free; emptied at the end")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the results")
    parser.add_argument("--rounds", type=int, default=7, help="of what takes a second or two")
    parser.add_argument("--slow-rounds", type=int, default=3, help="of the others, and cold")
    parser.add_argument(
        "--mergekit", type=Path, default=Path(".bench/mergekit"),
        help="its environment; made if it is not there, and kept",
    )  # fmt: skip
    parser.add_argument("--without-peers", action="store_true", help="no mergekit, no transformers")
    parser.add_argument("--toy", action="store_true", help="tiny checkpoints, to try it out")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
