"""The command that takes away what a service's home holds and nobody needs: gc."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group

from boomerang.catalog.catalog import Catalog
from boomerang.cli import options
from boomerang.cli.progress import duration
from boomerang.cli.service.running import settings
from boomerang.cli.show import REASON, emit, table
from boomerang.errors import BadRequest
from boomerang.service.upkeep.collecting import GRACE_HOURS, Named, collect


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what would go.")
    ] = False,
    run: Annotated[
        list[str] | None,
        typer.Option(help="Key of a student whose checkpoints go too, whatever they are of."),
    ] = None,
    set_aside: Annotated[
        list[str] | None,
        typer.Option(help="Name of a student or teacher that was put aside and goes too."),
    ] = None,
    older_than: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help="Only what nobody changed for so long.")
    ] = GRACE_HOURS,
    as_json: options.Json = False,
) -> None:
    """Take away what nobody needs: never a student, and what cost time only where it is named.

    Teachers that no family needs, parts of models, sizes that no family has, checkpoints of
    students that are ready, logs and events that are old. It may run beside the service.
    """
    named = Named(tuple(run or ()), tuple(set_aside or ()))
    here = settings()
    if not here.home.is_dir():
        raise BadRequest(
            f"There is no {here.home}.", value=str(here.home), fix="Set BOOMERANG_HOME."
        )
    catalog = Catalog(here.database_url, migrate=False)
    try:
        done = collect(here, catalog, named, dry_run=dry_run, grace_hours=older_than)
    finally:
        catalog.close()
    emit(asdict(done) | {"bytes": done.bytes}, as_json, gc_view)


def gc_view(done: Mapping[str, Any]) -> Group:
    """What went or would go, what stays, and what goes only by name."""
    would = "would go" if done["dry_run"] else "went"
    parts: list[Any] = []
    for title, key in (
        (f"What {would}:", "removed"), ("What stays:", "kept"),
        ("What goes only by name (--run KEY, --set-aside NAME):", "by_name"),
    ):  # fmt: skip
        if done[key]:
            parts += [title, table(("name", "MB", "unchanged for", REASON), _rows(done[key]))]
    count = len(done["removed"])
    parts.append(
        f"{count} things and {done['events']} old events {would}: {_mb(done['bytes'])} MB."
    )
    return Group(*parts)


def _rows(things: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (one["name"], _mb(one["bytes"]), duration(one["age_seconds"]), one["why"])
        for one in things
    ]  # fmt: skip


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f}"
