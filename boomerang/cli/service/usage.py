"""The command that says what a key used, and what it may use: usage."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from boomerang.cli import options
from boomerang.cli.service.client import Service
from boomerang.cli.show import emit, table


def usage(
    key: Annotated[str | None, typer.Option(help="Id or name of another key: admin's.")] = None,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Say what a key used of late, and what it may use."""
    with Service(url, api_key) as service:
        emit(service.get("/usage" + (f"?{urlencode({'key': key})}" if key else "")), as_json, view)


def view(found: Mapping[str, Any]) -> Any:
    """What was used, day by day, below what may be."""
    days = [[one["day"], str(one["families"]), f"{one['device_hours']:.2f}", f"{one['bytes']:,}"]
            for one in found["days"] or [found["today"]]]  # fmt: skip
    may = found["allowance"]
    most = [may["families_per_day"], may["device_hours_per_day"], may["bytes_per_day"]]
    days.insert(0, ["most a day", *(f"{one:,}" if one else "any" for one in most)])
    return table(["day (UTC)", "families", "device hours", "bytes"], days)
