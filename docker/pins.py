"""The versions an image installs: the lock file, for only some of the package's dependencies.

``python docker/pins.py --without torch transformers`` reads pyproject.toml and requirements.lock
in the current folder and writes two files:

``pins/requirements.txt``  each direct dependency that is wanted, at the version of the lock
``pins/constraints.txt``   every version of the lock, so that what those bring along is pinned too

The list names what is left out, not what is put in: a dependency added to pyproject.toml reaches
every image, and what only the left-out ones need stays out by itself. Development tools never
enter, since nothing asks for them. Standard library only: it runs before anything is installed.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?")
# The local part (+cpu) is left off: which build of torch an image gets is for its index to say.
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;+\\]+)", re.MULTILINE)


def canonical(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(pyproject: str, without: set[str], extras: list[str]) -> dict[str, str]:
    """Name → extras of each direct dependency; exits when ``without`` names none of them.

    ``extras`` are groups of optional dependencies that are wanted as well.
    """
    project = tomllib.loads(pyproject)["project"]
    optional = project.get("optional-dependencies", {})
    if missing := [extra for extra in extras if extra not in optional]:
        sys.exit(f"--extra {' '.join(missing)}: not in pyproject.toml")
    direct: dict[str, str] = {}
    for requirement in sum((optional[extra] for extra in extras), project["dependencies"]):
        match = NAME.match(requirement)
        if match is None:
            sys.exit(f"pyproject.toml: {requirement!r} names no distribution")
        direct[canonical(match[1])] = match[2] or ""
    if unknown := without - direct.keys():
        sys.exit(f"--without {' '.join(sorted(unknown))}: not a dependency in pyproject.toml")
    return {name: extras for name, extras in direct.items() if name not in without}


def main() -> None:
    """Write both files; exits with one line when the lock lacks a direct dependency."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--extra", nargs="+", default=[], metavar="NAME")
    given = parser.parse_args()
    without = {canonical(name) for name in given.without}
    direct = wanted(Path("pyproject.toml").read_text(), without, given.extra)
    pins = {canonical(n): v for n, v in PIN.findall(Path("requirements.lock").read_text())}
    if missing := direct.keys() - pins.keys():
        sys.exit(f"requirements.lock pins no {' '.join(sorted(missing))}: make the lock again")
    requirements = ["-c constraints.txt", *(f"{n}{e}=={pins[n]}" for n, e in direct.items())]
    constraints = [f"{name}=={version}" for name, version in pins.items()]
    folder = Path("pins")
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    (folder / "constraints.txt").write_text("\n".join(constraints) + "\n")


if __name__ == "__main__":
    main()
