"""`python -m benchmarks.publishing`: what publishing sends, what memory it takes, what kills cost.

Everything goes to the Hub of the tests, in a process of its own, by the real client. Without one
of `--travel`, `--memory` and `--kills` all is measured. Exits with 1 where a kill did harm.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.publishing import kills, models, report, table, travel


def main() -> int:
    """Measure what was asked for, and write it into the documentation."""
    options = _options()
    every = not (options.travel or options.memory or options.kills)
    tables, failed = {}, False
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="boomerang-publishing-", dir=options.folder) as made:
        folder = Path(made).resolve()
        if every or options.travel:
            tables["What travels"] = _travelled(folder, options)
        if every or options.memory:
            pair = travel.pair(folder, models.TOY if options.toy else models.WIDER, tied=False)
            runs = [travel.run(folder / "memory", pair, lane, _say) for lane in options.lanes]
            tables["Memory"] = table.memory(runs)
        if every or options.kills:
            shape = models.TOY if options.toy else models.SMALL
            ended = [
                kills.run(folder / f"kills-{lane}", lane, shape, options.number, options.seed, _say)
                for lane in options.lanes
            ]
            failed = any(run.failure for run in ended)
            tables["Kills"] = kills.table(ended)
    print("\n".join(tables.values()))
    report.update(options.docs / "benchmarks/publishing.md", tables)
    return 1 if failed else 0


def _travelled(folder: Path, options: argparse.Namespace) -> str:
    shape, parts = models.TOY if options.toy else models.WIDE, []
    for tied in (False, True):
        pair = travel.pair(folder, shape, tied)
        place = folder / ("tied" if tied else "untied")
        runs = [travel.run(place, pair, lane, _say) for lane in options.lanes]
        parts.append(f"{place.name.capitalize()} embeddings:\n\n{table.travelled(runs)}")
    return "\n".join(parts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publishing", description=__doc__)
    parser.add_argument("--travel", action="store_true", help="what travels")
    parser.add_argument("--memory", action="store_true", help="memory and disk")
    parser.add_argument("--kills", action="store_true", help="kills")
    parser.add_argument("--lanes", nargs="+", choices=("xet", "lfs"), default=("xet", "lfs"))
    parser.add_argument("--folder", type=Path, help="where 40 GB are free; emptied at the end")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the results")
    parser.add_argument("--number", type=int, default=20, help="of kills, by each lane")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--toy", action="store_true", help="tiny checkpoints, to try it out")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
