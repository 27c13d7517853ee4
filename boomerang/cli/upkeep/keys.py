"""Commands about the keys of a service, on its catalog or by asking it: keys, audit."""

import getpass
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from pydantic import ValidationError

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.keys import SCOPES, Who
from boomerang.cli import options
from boomerang.cli.service.client import Service
from boomerang.cli.service.running import settings
from boomerang.cli.show import emit, table
from boomerang.errors import BadRequest
from boomerang.service.allowances.quotas import Quotas

keys = typer.Typer(
    name="keys",
    help="Make, list and revoke the keys of a service.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_LASTS = re.compile(r"(\d{1,6})([mhdw])")

At = Annotated[
    str | None,
    typer.Option(
        "--service",
        envvar="BOOMERANG_URL",
        help="Address of a running service, which takes a key of the scope admin; without it the "
        "catalog of this machine's settings.",
    ),
]


@keys.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is called, as ci or alice.")],
    scope: Annotated[str, typer.Option(help=f"What it may do: {', '.join(SCOPES)}.")],
    expires: Annotated[
        str | None, typer.Option(help="How long it lasts, as 90d, 12h or 4w; else for good.")
    ] = None,
    quotas: Annotated[
        str | None,
        typer.Option(help='Its own, as JSON: {"families_per_day": 5}. See docs/operations.'),
    ] = None,
    at: At = None,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Make a key. It is printed once, and kept nowhere but where you put it."""
    lasts, own = _seconds(expires), _quotas(quotas)
    if at is not None:
        body = {"name": name, "scope": scope, "expires_in": lasts, "quotas": own}
        with Service(at, api_key) as service:
            made = service.post("/keys", body)
    else:
        with _catalog() as catalog:
            key, written = catalog.create_key(name, scope, lasts=lasts, quotas=own)  # type: ignore[arg-type]
            catalog.audit(_operator(), "keys.create", key.id, 201)
        made = asdict(key) | {"key": written}
    if not as_json:
        until = f" until {_minute(made['expires'])}" if made["expires"] else ""
        sys.stderr.write(
            f"{name} ({made['id']}) may {scope}{until}. This is its key, shown once:\n"
        )
    emit(made, as_json, lambda made: str(made["key"]))


@keys.command("list")
def list_(at: At = None, api_key: options.Key = "", as_json: options.Json = False) -> None:
    """List the keys of the catalog, those that are over too."""
    if at is not None:
        with Service(at, api_key) as service:
            found = service.get("/keys")
    else:
        with _catalog() as catalog:
            found = {"keys": [asdict(one) for one in catalog.all_keys()]}
    emit(found, as_json, _keys_view)


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(metavar="NAME|ID", help="Its name or its id.")],
    at: At = None,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """End a key: a running service refuses it within five seconds."""
    if at is not None:
        with Service(at, api_key) as service:
            ended = service.delete(f"/keys/{quote(key, safe='')}")
    else:
        with _catalog() as catalog:
            found = catalog.revoke_key(key)
            catalog.audit(_operator(), "keys.revoke", found.id, 200)
        ended = asdict(found)
    emit(ended, as_json, lambda ended: f"{ended['name']} ({ended['id']}) is revoked.")


def audit(
    key: Annotated[
        str | None, typer.Option(help="Only what was done with a key, by name or id.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How much, the newest first.")] = 50,
    before: Annotated[int | None, typer.Option(min=0, help="Before the deed of this id.")] = None,
    at: At = None,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Say what was done with which key."""
    if at is not None:
        asked = {"limit": limit, "before": before, "key": key}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        with Service(at, api_key) as service:
            found = {"deeds": service.get(f"/audit?{query}")["deeds"]}
    else:
        with _catalog() as catalog:
            deeds = catalog.deeds(before=before, limit=limit, key=key)
        found = {"deeds": [asdict(one) for one in deeds]}
    emit(found, as_json, _audit_view)


@contextmanager
def _catalog() -> Iterator[Catalog]:
    here = settings()
    catalog = Catalog(here.database_url, migrate=here.migrate)
    try:
        yield catalog
    finally:
        catalog.close()


def _operator() -> Who:
    """Whoever has a hand on the machine, which needs no key."""
    try:
        return Who(None, f"operator:{getpass.getuser()}"[:64])
    except OSError:  # a container's user has no name
        return Who(None, "operator")


def _seconds(said: str | None) -> float | None:
    if said is None:
        return None
    found = _LASTS.fullmatch(said)
    if found is None:
        raise BadRequest(
            f"{said!r} is no time that a key lasts.", value=said, fix="Write it as 90d, 12h or 4w."
        )
    return int(found[1]) * _UNITS[found[2]]


def _quotas(said: str | None) -> dict[str, Any] | None:
    if said is None:
        return None
    try:
        return Quotas.model_validate(json.loads(said)).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "quotas"
        raise BadRequest(
            f"{where}: {first['msg']}.",
            value=said,
            fix=f"There are {', '.join(Quotas.model_fields)}.",
        ) from None
    except ValueError:
        raise BadRequest(
            f"{said!r} is no JSON.", value=said, fix='Write {"families_per_day": 5}.'
        ) from None


def _minute(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _keys_view(found: Mapping[str, Any]) -> Any:
    if not found["keys"]:
        return "There is no key in the catalog."
    now = time.time()

    def state(key: Mapping[str, Any]) -> str:
        if key["revoked"] is not None:
            return "revoked"
        return "expired" if (key["expires"] or now + 1) <= now else "live"

    rows = [
        (one["name"], one["id"], one["scope"], state(one), _minute(one["expires"]),
         _minute(one["used"]), json.dumps(one["quotas"]) if one["quotas"] else "–")
        for one in found["keys"]
    ]  # fmt: skip
    return table(("name", "id", "scope", "state", "expires", "last used", "quotas"), rows)


def _audit_view(found: Mapping[str, Any]) -> Any:
    if not found["deeds"]:
        return "Nothing was done."
    rows = [
        (str(one["id"]), _minute(one["time"]), one["name"] or "–", one["action"],
         one["subject"] or "–", str(one["status"]),
         json.dumps(one["detail"]) if one["detail"] else "–")
        for one in found["deeds"]
    ]  # fmt: skip
    return table(("id", "when", "who", "what", "of", "status", "more"), rows)
