"""The documentation names every setting, every route and every command there is."""

import platform
import re
from pathlib import Path

import pytest

from app.main import create_app
from boomerang.cli.main import COMMANDS
from boomerang.service.settings import Settings
from tests.support.places import ROOT
from tools.pictures import PICTURE, family, picture

OPERATIONS = (ROOT / "docs/operations.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
SAID = "\n".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    assert f"| `BOOMERANG_{name.upper()}` |" in OPERATIONS


def test_every_route_is_described() -> None:
    app = create_app(Settings(home=Path("nowhere")))
    told = {re.sub(r"\{(\w+?)_?(:path)?\}", r"{\1}", r) for r in OPERATIONS.split("`")}
    paths = app.openapi()["paths"]
    assert len(paths) > 10
    for path, methods in paths.items():
        plain = re.sub(r"\{(\w+?)_\}", r"{\1}", path)
        for method in methods:
            if method != "head":
                assert f"{method.upper()} {plain}" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described(name: str) -> None:
    assert re.search(rf"(boomerang |`){name}\b", SAID)


def test_every_target_that_is_named_is_there_and_helped_with() -> None:
    made = (ROOT / "Makefile").read_text()
    helped = set(re.findall(r"^([a-z0-9-]+):.*  ## ", made, re.MULTILINE))
    phony = made.partition(".PHONY: ")[2].partition("\n\n")[0].replace("\\\n", " ")
    assert set(phony.split()) == helped
    assert set(re.findall(r"`make ([a-z][a-z0-9-]*)", SAID)) <= helped


def test_every_link_leads_somewhere_and_one_to_every_page() -> None:
    found = {ROOT / "README.md"}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            there = (page.parent / target).resolve()
            assert there.exists(), f"{page.name}: {target}"
            found.add(there)
    # Why something is as it is may be told by a comment alone.
    told = {page for page in PAGES if "decisions" not in page.parts}
    assert told <= found


def test_the_picture_of_the_readme_shows_its_table() -> None:
    ours, naive = family(README)
    assert [point.name for point in ours] == ["908K", "1.01M", "1.11M", "1.21M", "1.31M", "1.42M"]
    assert len(naive) == len(ours) - 1
    for point in (ours[0], ours[-1], naive[0]):
        assert f"{point.value:.2f}" in README
    # Other processors may round a pixel's shade otherwise.
    if platform.machine() == "x86_64":
        assert picture(README) == PICTURE.read_bytes(), "make it again: python -m tools.pictures"
