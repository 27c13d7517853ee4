"""Fills a catalog as the first version kept (commit bdf18f0) made it, with rows in every table.

`PYTHONPATH=CHECKOUT python tests/catalog/migrations/make.py URL`, with that version as CHECKOUT;
the files beside this one are then `sqlite3 FILE .dump` and `pg_dump --inserts --no-owner`.
"""

import sys

from boomerang.service.catalog import Catalog

from boomerang.service.models import (
    EventRow,
    FamilyRow,
    HashRow,
    LeaseRow,
    MemberRow,
    StudentRow,
    WantRow,
)

catalog = Catalog(sys.argv[1])
day = 1_764_000_000.25
with catalog.db.write() as session:
    for key, state, loss in (("a" * 64, "ready", 1.5), ("b" * 64, "distilling", None)):
        session.add(
            StudentRow(
                key=key, root=key, teacher="org/Lehrer-4B", teacher_commit="c" * 40,
                kept=[0, 2, 3], layers=4, recipe={"name": "smoke", "steps": 10, "rate": 1e-4},
                recipe_name="smoke", seed=0, origin="distilled", state=state, loss=loss,
                reason=None if loss else "It's a Grüße 'reason'\nof two lines: 50 %",
                step=5, steps=10, tokens=2**40, created=day, updated=day + 1,
            )
        )  # fmt: skip
    session.flush()
    for id_, student, order in (("f" * 16, "a" * 64, [1, "last"]), ("e" * 16, "b" * 64, None)):
        session.add(
            FamilyRow(
                id=id_, name="Lehrer-4B", teacher="org/Lehrer-4B", revision="main",
                commit="c" * 40, student=student, order="auto", request={"budget": "2.9B"},
                license="apache-2.0", gated=False, private=True, patch_order=order,
                measuring="yes" if order else "no", tasks={"arc_easy": 10} if order else None,
                created=day, updated=day,
            )
        )  # fmt: skip
    session.flush()
    for k in (0, 1):
        session.add(
            MemberRow(
                family="f" * 16, k=k, size=f"{k}.00K", code="sss+sss", digest=f"d{k}" * 32,
                parameters=3_000_000_000 + k, bytes=12_000_000_000, layers=3 + k, built="yes",
                perplexity=12.25, generation={"text": "naïve ≤ ½ \\ \"quoted\""},
                flags=["A dip."] if k else None, repo=None, updated=day,
            )
        )  # fmt: skip
    session.add(
        WantRow(
            family="f" * 16, kind="build", what="0.00K", options={}, options_digest="0" * 64,
            state="yes",
        )
    )  # fmt: skip
    session.add(LeaseRow(subject=f"student:{'b' * 64}", holder="w1", fence=7, expires=day + 30))
    session.add(
        HashRow(path="/models/größe.safetensors", size=2**33, inode=2**40, mtime_ns=2**60,
                sha256="9" * 64)
    )  # fmt: skip
    for step in range(3):
        session.add(
            EventRow(time=day + step, student="a" * 64, kind="progress",
                     payload={"step": step, "loss": 1.5 / (step + 1)})
        )  # fmt: skip
    session.add(EventRow(time=day, family="f" * 16, kind="family", payload={"state": "ready"}))
catalog.close()
