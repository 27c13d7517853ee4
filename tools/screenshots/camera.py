"""Pictures of pages as a browser shows them: on a desk and on a phone, in light and in dark."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS = {"desk": (1280, 860), "phone": (390, 844)}
SCHEMES = ("light", "dark")
QUALITY = 55
"""Of JPEG: text stays sharp, and all pictures together small."""
TALLEST = {"desk": 1300, "phone": 1600}
"""Pixels of a page that are shown, in the browser's units: what comes below is more of the same."""


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium of this machine."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - what development needs

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()


def shoot(opened: Any, base: str, paths: Mapping[str, str], out: Path) -> list[Path]:
    """A JPEG of each of the pages at `paths`, by name, in every width and scheme."""
    made = []
    for size, (width, height) in WIDTHS.items():
        for scheme in SCHEMES:
            context = opened.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page = context.new_page()
            for name, path in paths.items():
                page.goto(base + path, wait_until="load")
                page.wait_for_timeout(400)
                file = out / name / f"{size}-{scheme}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                tall = int(page.evaluate("document.documentElement.scrollHeight"))
                clip = {"x": 0, "y": 0, "width": width, "height": min(tall, TALLEST[size])}
                page.screenshot(path=file, type="jpeg", quality=QUALITY, full_page=True, clip=clip)
                made.append(file)
            context.close()
    return made
