"""`python -m benchmarks.chaos`: the whole service under a schedule of faults, and nothing lost.

Front end, three workers, trainers, Valkey, PostgreSQL and a Hub, each a process: killed, frozen,
cut off, slowed, with a full disk and wrong clocks, at times drawn from a seed, while clients ask,
cancel, delete, publish, rebuild and download. Then everything recovers, and what was promised must
hold. The same seed gives the same schedule. Exits with 1 where a promise is broken.
"""

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.chaos.clients import Client
from benchmarks.chaos.promises import broken, logs
from benchmarks.chaos.schedule import Fault, Visit, faults, visits
from benchmarks.chaos.service.stack import Stack
from benchmarks.chaos.strikes import Strikes

RECOVERY_SECONDS = 900.0
"""How long clients wait once there are no more faults."""


def main() -> int:
    """Run one schedule, and say what became of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--spacing", type=float, default=2.5, help="seconds between faults")
    parser.add_argument("--every", type=float, default=25.0, help="seconds between clients")
    parser.add_argument("--schedule", action="store_true", help="print it, and do nothing")
    parser.add_argument("--folder", type=Path, help="keep everything there")
    options = parser.parse_args()
    struck = faults(options.seed, options.faults, options.spacing)
    visited = tuple(visits(options.seed, struck[-1].at, options.every))
    if options.schedule:
        print(*sorted([*map(str, struck), *map(str, visited)]), sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="boomerang-chaos-", ignore_cleanup_errors=True) as made:
        folder = options.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        with Stack(folder) as stack:
            said = _run(stack, options.seed, struck, visited)
        if said:
            print(*logs(folder), sep="\n", flush=True)
    print(*said, sep="\n")
    print(f"seed {options.seed}: {len(said)} promises broken" if said else
          f"seed {options.seed}: nothing lost, nothing twice, nothing stuck")  # fmt: skip
    return 1 if said else 0


def _run(
    stack: Stack, seed: int, struck: tuple[Fault, ...], visited: tuple[Visit, ...]
) -> list[str]:
    began, last = time.monotonic(), struck[-1].at
    until = began + last + RECOVERY_SECONDS
    strikes = Strikes(stack, seed, _say)
    clients: list[Client] = []
    coming, striking = list(visited), list(struck)
    while coming or striking:
        now = time.monotonic() - began
        while coming and coming[0].at <= now:
            clients.append(Client(stack, coming.pop(0), lambda: until))
            clients[-1].thread.start()
            _say(str(clients[-1].visit))
        while striking and striking[0].at <= now:
            _say(str(striking[0]))
            strikes.strike(striking.pop(0))
        strikes.look()
        time.sleep(0.05)
    strikes.look(all_of_them=True)
    _say(f"{now:7.1f} s  everything recovers")
    stack.recover()
    for client in clients:
        client.thread.join(max(1.0, until + 30 - time.monotonic()))
    said = broken(stack, clients)
    _summary(stack, strikes, clients, time.monotonic() - began)
    return said


def _summary(stack: Stack, strikes: Strikes, clients: list[Client], seconds: float) -> None:
    _say(f"{sum(strikes.said.values())} faults in {seconds:.0f} s:")
    for what, many in sorted(strikes.said.items()):
        _say(f"  {many:4}  {what}")
    _say(f"{len(clients)} clients:")
    for client in clients:
        answers = ", ".join(f"{many}× {status}" for status, many in sorted(client.statuses.items()))
        end = client.failure or f"{client.expected}, {len(client.tars)} sizes came"
        _say(f"  {client.family or '-'} {client.visit.role}: {end} ({answers})")
    with suppress(Exception):
        events = stack.catalog.events_after(0, limit=10**6)
        starts = sum(event.kind == "estimate" for event in events)
        _say(f"trainers began {starts} times, {len(events)} events")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
