"""`python -m benchmarks.scale [PART …]`: what limits a service that grows, each part by itself.

`progress`: trainers that report, on PostgreSQL. `serving`: GET /models beside work and downloads.
`team`: families, workers and keys with training replaced by a sleep. `catalog`: what is asked of a
catalog of very many families. Figures of one run are to be compared with each other alone.
"""

import argparse
import sys

from benchmarks.scale import catalog, progress, serving, team

PARTS = {"progress": progress, "serving": serving, "team": team, "catalog": catalog}


def main() -> int:
    """Measure the parts that are named, or all; 1 where one misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="all, without any")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    for name, part in PARTS.items():
        part.options(parser.add_argument_group(name))
    asked = parser.parse_args()
    fine = [PARTS[name].measure(asked) for name in asked.part or PARTS]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
