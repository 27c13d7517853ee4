"""The house stays one in which things are found: small rooms, and tests that mirror them."""

import statistics
import subprocess
from collections import Counter
from pathlib import PurePosixPath

import pytest

from tests.support.places import ROOT

CODE = ("boomerang", "app", "workers")
MOST_FILES = 12
MOST_LINES = 300
MEDIAN_LINES = 150


def tracked(*folders: str) -> list[PurePosixPath]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found = (PurePosixPath(line) for line in listed.stdout.splitlines())
    return [path for path in found if (ROOT / path).exists()]


def lines(path: PurePosixPath) -> int:
    return len((ROOT / path).read_text("utf-8").splitlines())


OF_THE_WHOLE = {"project", "browser", "homes", "interleavings", "local_hub"}
"""Its documents and packages, its pages in a browser, a home of an old version, random workers over
one catalog, the Hub that tests speak to."""

MODULES = [path for path in tracked(*CODE) if path.suffix == ".py" and path.stem != "__init__"]


@pytest.mark.parametrize("folder", [*CODE, "benchmarks", "tests", "docs", "docker"])
def test_a_folder_holds_few_files(folder: str) -> None:
    counts = Counter(path.parent for path in tracked(folder))
    assert {str(at): count for at, count in counts.items() if count > MOST_FILES} == {}


def test_a_module_is_short() -> None:
    sizes = {str(path): lines(path) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}
    assert statistics.median(sizes.values()) <= MEDIAN_LINES


def test_the_tests_stand_where_what_they_test_stands() -> None:
    rooms = {path.parent for path in MODULES} | {
        PurePosixPath(n) for n in ("benchmarks", "examples")
    }
    found = {path for path in tracked("tests") if path.name.startswith("test_")}
    mirrored = {path for path in found if path.parts[1] not in OF_THE_WHOLE}
    astray = {
        str(path)
        for path in mirrored
        if not rooms & {room := path.parent.relative_to("tests"), PurePosixPath("boomerang") / room}
    }
    assert mirrored
    assert astray == set()


def test_every_folder_of_modules_says_what_it_is_for() -> None:
    folders = {path.parent for path in MODULES}
    silent = {str(at) for at in folders if not (ROOT / at / "__init__.py").read_text().strip()}
    assert silent == set()
