"""`make screenshots`: pictures of every page into docs/images/pages, a folder a page.

Without a home it looks at families that are made up: one that is ready, one that is distilled, some
that wait or failed. Their models are headers and holes, so nothing is downloaded and nothing runs.
"""

import argparse
import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path

from boomerang.catalog.catalog import Catalog
from boomerang.service.settings import Settings
from tools.screenshots.camera import browser, shoot
from tools.screenshots.service import ROOT, serving
from tools.screenshots.stage import play, prepare

OUT = ROOT / "docs/images/pages"
MOST_BYTES = 2_500_000
"""What all pictures together may have: they are in every clone."""


def main() -> int:
    """Take the pictures; 1 where they are too large together."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--home", type=Path, help="a home with families to look at instead")
    parser.add_argument("--models", type=Path, help="the folder of its models")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        home, models = given.home or place / "home", given.models or place / "models"
        with serving(home, models, place, BOOMERANG_PLAY="true") as base, browser() as opened:
            paths = _real(base) if given.home else _staged(base, home, models)
            shutil.rmtree(given.out, ignore_errors=True)
            made = shoot(opened, base, paths, given.out)
            # Where there are keys, who comes without one is asked for it.
            with serving(home, models, place, BOOMERANG_API_KEYS="read:somebody") as closed:
                made += shoot(opened, closed, {"login": "/login"}, given.out)
    total = sum(file.stat().st_size for file in made)
    print(f"{len(made)} pictures, {total / 1e6:.2f} MB in {given.out}")
    return int(total > MOST_BYTES)


def _staged(base: str, home: Path, models: Path) -> dict[str, str]:
    """The pages of families that are made up."""
    settings = Settings(home=home, models=models, database_url="")
    catalog = Catalog(settings.database_url)
    prepare(models, catalog)
    staged = play(base, settings, catalog)
    catalog.close()
    paths = _pages(staged.ready, staged.size, "Example-1.7B")
    return paths | {"distilling": f"/families/{staged.distilling}"}


def _real(base: str) -> dict[str, str]:
    """The pages of the newest family of a home."""
    with urllib.request.urlopen(f"{base}/families") as answer:  # noqa: S310 - ours
        family = json.load(answer)["families"][0]
    members = family["members"]
    return _pages(family["id"], members[len(members) // 2]["size"], family["teacher"])


def _pages(family: str, size: str, teacher: str) -> dict[str, str]:
    return {
        "home": "/",
        "new": f"/new?teacher={teacher}",
        "family": f"/families/{family}",
        "model": f"/models/{size}?family={family}",
        "play": f"/play?family={family}",
        "jobs": "/jobs",
        "error": "/families/nothing",
    }


if __name__ == "__main__":
    sys.exit(main())
