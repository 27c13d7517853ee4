"""Redis or Valkey: whether it answers, keeps what it is given, and is on time; and who listens."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from boomerang.service.jobs import PLAY, QUEUES
from boomerang.service.running.parts import socket_path, valkey_url
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding, clock, fail, ok, warn
from boomerang.service.watching import heartbeat

SECONDS = 3.0
"""How long the queue may be silent."""


def queue(settings: Settings, version: str) -> Iterator[Finding]:
    """Whether the queue can be used, and who listens to it; `version` is what runs here."""
    embedded = not settings.redis_url
    if embedded and not socket_path(settings).exists():
        yield ok("queue", "`boomerang serve` starts its own, and does not run now.")
        return
    address = valkey_url(settings) if embedded else settings.redis_url
    with heartbeat.connect(address, SECONDS) as client:
        try:
            before = time.time()
            seconds, micros = client.time()
            ahead = seconds + micros / 1e6 - (before + time.time()) / 2
        except AuthenticationError:
            yield fail("queue", "It refuses the password.", "Correct BOOMERANG_REDIS_URL.",
                       _where(settings))  # fmt: skip
            return
        except ResponseError as error:
            # It wants a password, or has none, or loads its data.
            yield fail("queue", f"It refuses: {str(error).partition(' ')[0]}.",
                       "Look at the user and the password in BOOMERANG_REDIS_URL.",
                       _where(settings))  # fmt: skip
            return
        except (RedisError, OSError) as error:
            yield fail("queue", f"It does not answer ({type(error).__name__}).",
                       "Start Redis or Valkey, and look at BOOMERANG_REDIS_URL.",
                       _where(settings))  # fmt: skip
            return
        yield ok("queue", "It answers.", "embedded" if embedded else _where(settings))
        yield clock("queue's clock", ahead, "the queue")
        yield from _workers(settings, client, version)
        yield from (() if embedded else _keeps(settings, client))


def _where(settings: Settings) -> str:
    """The server without user and password."""
    parts = urlsplit(settings.redis_url)
    return f"{parts.scheme}://{parts.hostname or ''}:{parts.port or 6379}{parts.path}"


def _keeps(settings: Settings, client: Any) -> Iterator[Finding]:
    """Whether it keeps what it is given, on disk and in memory."""
    try:
        on_disk = bool(client.info("persistence").get("aof_enabled")) or _said(client, "save")
    except RedisError:
        yield warn("queue on disk", "It does not say whether it keeps anything on disk.",
                   "Have it run with `appendonly yes`.")  # fmt: skip
    else:
        lost = (f"a message that it loses is sent again after BOOMERANG_REQUEUE_SECONDS "
                f"({settings.requeue_seconds:g} s)")  # fmt: skip
        if on_disk:
            yield ok("queue on disk", "It keeps what it is given on disk.")
        else:
            yield warn("queue on disk", f"It keeps nothing on disk: {lost}.",
                       "Have it run with `appendonly yes`.")  # fmt: skip
    try:
        policy, most = _said(client, "maxmemory-policy"), int(_said(client, "maxmemory") or 0)
    except (RedisError, ValueError):
        yield warn("queue in memory", "It does not say what it does when its memory is full.",
                   "Have it run with `maxmemory-policy noeviction`.")  # fmt: skip
        return
    if policy in ("noeviction", ""):
        yield ok("queue in memory", "It throws nothing away.", policy)
    else:
        told = f"It throws messages away when its memory is full ({policy})"
        fix = "Have it run with `maxmemory-policy noeviction`."
        yield (
            fail("queue in memory", f"{told}.", fix, policy)
            if most
            else warn("queue in memory", f"{told}, which nothing limits yet.", fix, policy)
        )


def _said(client: Any, name: str) -> str:
    return str(client.config_get(name).get(name, ""))


def _workers(settings: Settings, client: Any, version: str) -> Iterator[Finding]:
    """Who listens to which queue, and of which version they are."""
    there = heartbeat.present(client)
    needed = (*QUEUES, PLAY) if settings.play else QUEUES
    lacking = heartbeat.missing(needed, there)
    told = [f"{one.host}: {', '.join(one.queues)}" for one in there]
    if lacking:
        yield warn("workers", f"Nobody listens to {', '.join(lacking)}.",
                   f"boomerang worker --queues {','.join(lacking)}", told)  # fmt: skip
    else:
        yield ok("workers", "Somebody listens to every queue.", told)
    others = sorted({one.version for one in there} - {version})
    if others:
        yield fail("versions", f"There are workers of {', '.join(others)}; this is {version}.",
                   "Have all run one version.", others)  # fmt: skip
    elif there:
        yield ok("versions", f"All workers are of {version}.", version)
