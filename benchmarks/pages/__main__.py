"""`python -m benchmarks.pages`: how fast the home page is, and what open tabs cost the front end.

`--database` is the address of an empty PostgreSQL; without one there is SQLite. The browser is
Debian's Chromium, or the one that BROWSER names.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.pages.front import Front, distilling, running, share

PAGES = ("/", "/?part=families", "/?state=ready", "/?q=qwen", "/?q=no-such-name")
HTML = {"Accept": "text/html"}


def main() -> int:
    """Measure, print a table; 1 where home or the tabs cost more than they may."""
    options = _options()
    worst = []
    with tempfile.TemporaryDirectory(prefix="boomerang-pages-") as made:
        for families in options.families:
            folder = Path(made) / str(families)
            with running(folder, families, options.sizes, options.database) as front:
                print(f"{families} families of {options.sizes} sizes", flush=True)
                worst.append(_pages(front, options.loads))
                if families == options.families[0]:
                    worst += _tabs(front, options)
            if options.database:
                break  # it is not empty any more
    return 1 if any(worst) else 0


def _pages(front: Front, loads: int) -> bool:
    """Times of each page in ms, and processor; whether home takes more than it may."""
    slow = False
    with httpx.Client(base_url=front.base, headers=HTML, trust_env=False) as client:
        for at in PAGES:
            client.get(at)
            times, before = [], front.cpu()
            for _ in range(loads):
                begun = time.perf_counter()
                client.get(at).raise_for_status()
                times.append(1000 * (time.perf_counter() - begun))
            used = 1000 * (front.cpu() - before) / loads
            middle, high = statistics.median(times), sorted(times)[int(0.95 * loads)]
            print(f"  {at:20} {middle:6.1f} ms, 95 %: {high:6.1f} ms; processor {used:5.1f} ms")
            slow |= at == "/" and middle > 100
    return slow


def _tabs(front: Front, options: argparse.Namespace) -> list[bool]:
    failed = []
    with _browser() as browser:
        context = browser.new_context()
        page = context.new_page()
        paints = [_paint(page, front.base) for _ in range(options.loads // 4)]
        print(f"  first paint {statistics.median(paints):.0f} ms, best {min(paints):.0f} ms")
        with ExitStack() as tabs:
            for _ in range(options.tabs):
                tab = context.new_page()
                tab.goto(front.base)
                tabs.callback(tab.close)
            page.close()
            for rate in (0.0, 1.0, 50.0):
                failed.append(_cost(front, rate, f"{options.tabs} tabs", options.seconds))
    with _streams(front, options.tabs):
        failed += [
            _cost(front, rate, f"{options.tabs} streams", options.seconds) for rate in (1.0, 50.0)
        ]
    return failed


def _cost(front: Front, rate: float, who: str, seconds: float) -> bool:
    with ExitStack() as stack:
        if rate:
            stack.enter_context(distilling(front, rate))
        time.sleep(2)
        used = share(front, seconds)
    print(f"  {who}, {rate:g} steps a second: {100 * used:.1f} % of a core", flush=True)
    return used > 0.1


def _paint(page: Any, base: str) -> float:
    """Milliseconds from the beginning of a navigation to its first paint."""
    page.goto(base)
    while not (found := page.evaluate("performance.getEntriesByType('paint')")):
        time.sleep(0.01)
    return float(found[0]["startTime"])


@contextmanager
def _browser() -> Iterator[Any]:
    path = os.environ.get("BROWSER") or shutil.which("chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()


@contextmanager
def _streams(front: Front, number: int) -> Iterator[None]:
    """As many readers of the event stream, each on a connection of its own."""
    over = threading.Event()

    def read() -> None:
        address = f"{front.base}/events?named=false"
        # They are open until the front end ends.
        with suppress(httpx.HTTPError), httpx.stream("GET", address, timeout=30) as answer:
            for _ in answer.iter_lines():
                if over.is_set():
                    return

    threads = [threading.Thread(target=read, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--families", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--sizes", type=int, default=20)
    parser.add_argument("--tabs", type=int, default=10)
    parser.add_argument("--loads", type=int, default=40, help="of each page")
    parser.add_argument("--seconds", type=float, default=15, help="that processor is counted for")
    parser.add_argument("--database", default="", help="an empty PostgreSQL, for the first number")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
