"""The front end and the workers as processes: their command lines and their environment."""

import json
import os
import sys
from collections.abc import Mapping

import httpx

from boomerang.errors import BadRequest
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.messages import QUEUES
from boomerang.service.settings import Settings


def worker(settings: Settings, queues: tuple[str, ...] = QUEUES, concurrency: int = 1) -> int:
    """Run one worker for some queues in the foreground; return its exit status.

    Raises BadRequest for an unknown queue, or where no Redis is named.
    """
    unknown = set(queues) - set(QUEUES)
    if unknown or not queues:
        raise BadRequest(
            f"There is no queue {', '.join(sorted(unknown)) or 'given'}.",
            value=sorted(unknown),
            fix=f"Choose among {', '.join(QUEUES)}.",
        )
    if not settings.redis_url:
        raise BadRequest(
            "A worker of its own needs a Redis that it shares with the service.",
            fix="Set BOOMERANG_REDIS_URL (or REDIS_URL).",
        )
    arguments = worker_command("worker", queues, concurrency, settings.log_level)
    os.environ.update(environment(settings))
    os.execv(arguments[0], arguments)  # noqa: S606 - signals must reach Celery itself


def worker_command(name: str, queues: tuple[str, ...], concurrency: int, level: str) -> list[str]:
    """The command line of a Celery worker."""
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "workers.celery_app", "worker",
        "--queues", ",".join(queues), "--pool", "threads", "--concurrency", str(concurrency),
        "--hostname", f"{name}@%h", "--loglevel", level,
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def workers(settings: Settings, environment: Mapping[str, str]) -> tuple[Daemon, ...]:
    """The two workers: one job at a time for the heavy queues, two for the light ones."""
    kinds = (("distill", ("distill", "measure"), 1), ("assemble", ("assemble", "publish"), 2))
    return tuple(
        Daemon(
            name=f"worker {name}",
            arguments=worker_command(name, queues, concurrency, settings.log_level),
            log=settings.logs / f"worker-{name}.log",
            environment=environment,
            ready_line=READY,
            stop_seconds=settings.stop_seconds + 5,
        )
        for name, queues, concurrency in kinds
    )


def front_end(settings: Settings, environment: Mapping[str, str]) -> Daemon:
    """The front end, named but not imported."""
    arguments = [
        sys.executable, "-m", "uvicorn", "app.main:app", "--host", settings.host,
        "--port", str(settings.port), "--no-access-log",
        "--http", "app.serving.zerocopy:Connection",
        "--timeout-graceful-shutdown", "3", "--log-level", settings.log_level.lower(),
    ]  # fmt: skip
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return Daemon(
        name="front end",
        arguments=arguments,
        log=settings.logs / "front-end.log",
        environment=environment,
        healthy=lambda: _responds(f"http://{host}:{settings.port}/healthz"),
    )


def _responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the children read them, whatever this process was given."""
    found = {"HF_ENDPOINT": settings.hub_endpoint}
    for name, value in settings.model_dump(mode="json", exclude={"api_keys"}).items():
        written = json.dumps(value) if isinstance(value, list) else str(value)
        if value is not None:
            found[f"BOOMERANG_{name.upper()}"] = written
    keys = [key.get_secret_value() for key in settings.api_keys]
    return found | ({"BOOMERANG_API_KEYS": ",".join(keys)} if keys else {})
