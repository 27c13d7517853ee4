"""Look every version of the lock up among known vulnerabilities, and say what could not be.

Exits 1 where one has a vulnerability. Where the index of advisories cannot be reached nothing is
known, which is said and is no failure: a machine without a network can still run all the rest.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKS = ("requirements.lock", "requirements-tasks.lock", "requirements-examples.lock")


def look_up(lock: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each version of a lock; nothing where it cannot ask."""
    arguments = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    asked = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--requirement", str(lock), *arguments],
        capture_output=True, text=True,
    )  # fmt: skip
    try:
        found: list[dict[str, Any]] = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = asked.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        print(f"{lock.name}: could not be looked up: {last[0]}")
        return []
    return found


def report(name: str, found: list[dict[str, Any]]) -> int:
    """Say what was found of one lock; how many versions have a vulnerability."""
    looked = [one for one in found if "skip_reason" not in one]
    bad = [one for one in looked if one.get("vulns")]
    for one in bad:
        for flaw in one["vulns"]:
            mended = ", ".join(flaw.get("fix_versions", ())) or "no version"
            print(f"{name}: {one['name']} {one['version']}: {flaw['id']}, mended in {mended}")
    print(f"{name}: {len(looked)} of {len(found)} looked up, {len(bad)} with a vulnerability")
    return len(bad)


def main() -> None:
    """Look up each lock."""
    bad = sum(report(name, look_up(Path(name))) for name in LOCKS)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
