"""Commands that are the service: serve, worker."""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from boomerang.errors import BadRequest
from boomerang.service.running import parts, supervisor
from boomerang.service.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Run everything on this machine until ^C."""
    given = {"host": host, "port": port}
    supervisor.serve(settings(**{k: v for k, v in given.items() if v is not None}), typer.echo)


def worker(
    queues: Annotated[str, typer.Option(help="Queues, separated by commas; also play.")] = (
        "distill,measure,assemble,publish"
    ),
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
) -> None:
    """Run one worker, of a service that has a Redis of its own."""
    names = tuple(name.strip() for name in queues.split(",") if name.strip())
    raise typer.Exit(parts.worker(settings(), names, concurrency))


def settings(**given: Any) -> Settings:
    """Read the settings; what is wrong with them is one line."""
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "BOOMERANG_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadRequest(
            f"{name.replace('BOOMERANG_BOOMERANG_', 'BOOMERANG_')}: {first['msg']}.",
            fix="Correct the environment.",
        ) from None
