"""What is asked of a catalog of very many families, on SQLite and on PostgreSQL: milliseconds each.

Few of the families are under way, as with a team; the others are ready, failed or cancelled.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select, update

from benchmarks.pages.front import Front, running
from benchmarks.scale import server
from boomerang.catalog.tables import FamilyRow, MemberRow, StudentRow

HTML = {"Accept": "text/html"}
OPEN = 50
"""Students that are queued, however many families there are."""
ADDRESSES = (
    ("/", HTML), ("/families?limit=24", {}), ("/models?limit=100", {}), ("/models/4.02B", {}),
    ("/jobs", HTML), ("/metrics", {}), ("/readyz", {}),
)  # fmt: skip
WHOLE = (("/models", {}), ("/families", {}))
"""What lists everything: asked once."""


def options(parser: Any) -> None:
    """What can be asked of this part."""
    parser.add_argument("--families", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--sizes", type=int, default=4, help="of each family")
    parser.add_argument("--loads", type=int, default=10, help="of each address")
    parser.add_argument("--whole", action="store_true", help="also what lists every family")


def measure(asked: argparse.Namespace) -> bool:
    """Both databases with each number of families."""
    for families in asked.families:
        with tempfile.TemporaryDirectory(prefix="boomerang-scale-") as made:
            _one("SQLite", Path(made), families, "", asked)
        with tempfile.TemporaryDirectory() as made, server.running() as base:
            _one("PostgreSQL", Path(made), families, base.database, asked)
    return True


def _one(name: str, folder: Path, families: int, database: str, asked: argparse.Namespace) -> None:
    began = time.monotonic()
    with running(folder, families, asked.sizes, database) as front:
        _settle(front)
        print(f"{name}, {families} families of {asked.sizes} sizes "
              f"(made in {time.monotonic() - began:.0f} s)", flush=True)  # fmt: skip
        with httpx.Client(base_url=front.base, timeout=600, trust_env=False) as client:
            for at, headers in (*ADDRESSES, *(WHOLE if asked.whole else ())):
                loads = 1 if (at, headers) in WHOLE else asked.loads

                def ask(at: str = at, headers: dict[str, str] = headers) -> int:
                    return len(client.get(at, headers=headers).content)

                _say(at, ask, loads, front)
        catalog, key = front.catalog, front.student
        _say("reaper's look", lambda: catalog.reap(60, 5), asked.loads)
        _say("counts", catalog.counts, asked.loads)
        _say("a step", lambda: catalog.student_progress(key, {"step": 1}), asked.loads)
        _say("forgetting old events", lambda: catalog.prune_events(400), 1)


def _settle(front: Front) -> None:
    """Have all but some of those that are queued ready."""
    with front.catalog.db.write() as session:
        queued = StudentRow.state == "queued"
        newest = select(StudentRow.key).where(queued).order_by(StudentRow.created.desc())
        done = queued & StudentRow.key.not_in(newest.limit(OPEN).scalar_subquery())
        session.execute(update(StudentRow).where(done).values(state="ready"))
        theirs = (FamilyRow.state == "queued") & FamilyRow.student.in_(
            select(StudentRow.key).where(StudentRow.state == "ready")
        )
        session.execute(update(FamilyRow).where(theirs).values(state="ready", settled=True))
        session.scalar(select(func.count()).select_from(MemberRow))
    with front.catalog.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("ANALYZE")


def _say(what: str, ask: Callable[[], object], loads: int, front: Front | None = None) -> None:
    times, found = [], None
    began = time.perf_counter()
    first = ask()
    cold = 1000 * (time.perf_counter() - began)
    before = front.cpu() if front else 0.0
    for _ in range(loads - 1):
        began = time.perf_counter()
        found = ask()
        times.append(1000 * (time.perf_counter() - began))
    found = first if found is None else found
    size = f", {found / 1000:.0f} kB" if isinstance(found, int) and front else ""
    used = (
        f", processor {1000 * (front.cpu() - before) / (loads - 1):.0f} ms"
        if front and loads > 1
        else ""
    )
    later = f", then {statistics.median(times):.1f} ms" if times else ""
    print(f"  {what}: {cold:.0f} ms{later}{used}{size}", flush=True)
