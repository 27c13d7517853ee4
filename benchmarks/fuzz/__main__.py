"""Ask a front end whatever its own document allows, and what it does not: `make fuzz`.

schemathesis makes requests from /openapi.json, with right and with wrong values, and compares each
answer with what the document says. The front end is a process of its own, over a catalog of made-up
families, with a real queue and nobody who works on it; no Hub is reached. Streams of events have no
end and are left out: tests/app/api/test_events.py has them.

Exit status 1 where an answer is an error of the server or none that is declared.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fuzz.service import KEY, running

CHECKS = (
    "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
"""An error of the server itself (500) is declared nowhere; that the Hub or a worker is away is."""
STREAMS = "/events$"


def main() -> None:
    """Run it."""
    options = _options()
    with _folder(options.keep) as folder, running(folder) as base:
        print(f"a front end at {base}, seed {options.seed}", flush=True)
        # What schemathesis remembers of a run goes with the folder.
        status = subprocess.run(_command(options, base), cwd=folder).returncode
    raise SystemExit(status)


def _command(options: argparse.Namespace, base: str) -> list[str]:
    return [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{base}/openapi.json",
        "--phases", options.phases, "--max-examples", str(options.examples),
        "--seed", str(options.seed), "--generation-deterministic", "--no-shrink",
        "--exclude-path-regex", STREAMS, "--checks", ",".join(CHECKS),
        "--header", f"Authorization: Bearer {KEY}", "--request-timeout", "60",
        "--continue-on-failure", "--suppress-health-check", "filter_too_much",
        "--warnings", "off", "--no-color",
        *(["--include-path-regex", options.paths] if options.paths else []),
    ]  # fmt: skip


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="boomerang-fuzz-") as scratch:
        yield Path(scratch)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=250, help="of each operation")
    parser.add_argument("--phases", default="coverage,fuzzing", help="of schemathesis")
    parser.add_argument("--paths", default="", help="only what this pattern is found in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the front end's home and its log")
    return parser.parse_args()


if __name__ == "__main__":
    main()
