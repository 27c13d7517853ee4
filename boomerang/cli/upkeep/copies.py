"""Commands that take a copy of what a service cannot make again, and put it back."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from boomerang import __version__
from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.service.running import settings
from boomerang.cli.show import emit
from boomerang.service.upkeep import backup as backups
from boomerang.service.upkeep import restore as restores


def backup(
    target: Annotated[Path, typer.Argument(help="A folder that is not there, or NAME.tar.")],
    students: Annotated[bool, typer.Option(help="With the students that were distilled.")] = True,
    kept: Annotated[bool, typer.Option(help="Also those that are on the Hub as well.")] = True,
    as_json: options.Json = False,
) -> None:
    """Copy what cannot be made again: the catalog and the students.

    The service may run. The exit status is 1 where a student that should be there is not, or is
    not what it was: the backup then has all the others.
    """
    with Bar("backup") as bar:
        made = backups.backup(
            settings(),
            target,
            students=students,
            kept=kept,
            version=__version__,
            told=lambda *at: _show(bar, *at),
        )
    emit(asdict(made), as_json, _made_view)
    if made.missing or made.damaged:
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(help="What `boomerang backup` made.")],
    as_json: options.Json = False,
) -> None:
    """Put a backup into an empty home and an empty database.

    Either may be of another kind or elsewhere than they were. Everything is compared with its
    sha256 first.
    """
    with Bar("restore") as bar:
        found = restores.restore(settings(), source, told=lambda *at: _show(bar, *at))
    emit(asdict(found), as_json, _restored_view)


def _show(bar: Bar, what: str, done: int) -> None:
    rows = what.startswith("rows")
    bar.say(what)
    bar.left(0, 0, f"{done:,}" if rows else f"{done / 1e6:,.0f} MB", None)


def _made_view(made: dict[str, Any]) -> str:
    rows = sum(made["rows"].values())
    lines = [
        f"{made['target']}: {rows:,} rows of the catalog (schema {made['schema']}), "
        f"{len(made['students'])} students, {made['bytes'] / 1e6:,.1f} MB. All of it was read back."
    ]
    if made["on_hub"]:
        lines.append(f"On the Hub and not in it: {', '.join(made['on_hub'])}")
    if made["missing"]:
        lines.append(f"Not there, and so not in it: {', '.join(made['missing'])}")
    if made["damaged"]:
        damaged = ", ".join(made["damaged"])
        lines.append(
            f"Not what they were made as, and so not in it (`boomerang rebuild`): {damaged}"
        )
    return "\n".join(lines)


def _restored_view(found: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(found["made"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = sum(found["rows"].values())
    return f"As of {when}: {rows:,} rows of the catalog, {len(found['students'])} students."
