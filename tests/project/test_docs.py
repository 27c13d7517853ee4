"""The documentation names every setting, every route and every command there is."""

import platform
import re
from pathlib import Path

import pytest

from app.main import create_app
from boomerang.service.settings import Settings
from tests.support.places import ROOT
from tools.pictures import PICTURE, family, picture

OPERATIONS = (ROOT / "docs/operations.md").read_text()
README = (ROOT / "README.md").read_text()


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


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_picture_of_the_readme_shows_its_table() -> None:
    ours, naive = family(README)
    assert [point.name for point in ours] == ["908K", "1.01M", "1.11M", "1.21M", "1.31M", "1.42M"]
    assert len(naive) == len(ours) - 1
    for point in (ours[0], ours[-1], naive[0]):
        assert f"{point.value:.2f}" in README
    # Other processors may round a pixel's shade otherwise.
    if platform.machine() == "x86_64":
        assert picture(README) == PICTURE.read_bytes(), "make it again: python -m tools.pictures"
