"""A catalog on each database, and the records it is asked with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewFamily, NewMember
from boomerang.catalog.records.students import NewStudent
from tests.support.databases import empty_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn, in every run."""
    return empty_database(request, tmp_path)


def new_student(key: str = "k" * 32, **changes: object) -> NewStudent:
    values: dict[str, object] = {
        "key": key,
        "teacher": "org/Teacher-4B",
        "teacher_commit": "c" * 40,
        "kept": (0, 2, 3),
        "layers": 4,
        "recipe": {"name": "smoke", "steps": 10},
        "recipe_name": "smoke",
    }
    return NewStudent(**values | changes)  # type: ignore[arg-type]


def new_family(student: str = "k" * 32, order: str = "last", **changes: object) -> NewFamily:
    values: dict[str, object] = {
        "name": "Teacher-4B",
        "teacher": "org/Teacher-4B",
        "revision": "main",
        "commit": "c" * 40,
        "source": None,
        "student": student,
        "order": order,
        "request": {"budget": "2.9B"},
    }
    return NewFamily(**values | changes)  # type: ignore[arg-type]


def rungs() -> tuple[NewMember, ...]:
    return (
        NewMember(
            k=0, size="1.00K", code="sss+sss", digest="d0", parameters=1000, bytes=4000, layers=3
        ),
        NewMember(
            k=1, size="2.00K", code="bbb+ttt", digest="d1", parameters=2000, bytes=8000, layers=4
        ),
    )


def result(name: str, limit: int | None = None, **changes: object) -> dict[str, object]:
    """What a task gave, as boomerang.quality.tasks.run says it."""
    metric = {"task": name, "metric": "acc", "filter": "none", "value": 0.5, "stderr": 0.125,
              "version": "1.0", "samples": 10, "shots": 0}  # fmt: skip
    found = {"name": name, "limit": limit, "harness": "0.4", "failed": None, "metrics": [metric]}
    return {**found, **changes}


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()
