"""Looking at every part of a set-up at once; one that hangs or breaks hides no other."""

import os
import queue as queues
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import SecretStr
from sqlalchemy import make_url

from boomerang.processes.redacted import without_tokens
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor import catalog, home, hub, machine, queue, set_up
from boomerang.service.upkeep.doctor.finding import Finding, fail


@dataclass(frozen=True, slots=True)
class Look:
    """How one part is looked at, and how many seconds that may take."""

    name: str
    find: Callable[[Settings], Iterable[Finding]]
    seconds: float = 15.0


def looks_of(version: str) -> tuple[Look, ...]:
    """Every part, in the order in which they are told; `version` is what runs here."""
    return (
        Look("settings", set_up.settings_of),
        Look("catalog", catalog.catalog),
        Look("queue", partial(queue.queue, version=version)),
        Look("home", home.home),
        Look("temporary files", home.temporary),
        Look("hub", hub.hub, 25.0),
        Look("gpu", machine.gpu, machine.GPU_SECONDS + 10),
        Look("open files", machine.files),
    )


def examine(settings: Settings, looks: Sequence[Look]) -> tuple[Finding, ...]:
    """What is found of every part. No finding names a secret."""
    hidden = secrets_of(settings)
    begun = time.monotonic()
    asked = [(look, _begin(look, settings)) for look in looks]
    return tuple(
        _safe(one, hidden)
        for look, told in asked
        for one in _found(look, told, begun + look.seconds)
    )


def _begin(look: Look, settings: Settings) -> "queues.SimpleQueue[Finding | None]":
    """Look, in a thread that ends with the process however long it hangs; None is the end of it."""
    told: queues.SimpleQueue[Finding | None] = queues.SimpleQueue()

    def work() -> None:
        try:
            for one in look.find(settings):
                told.put(one)
        except Exception as error:
            fix = "Look at its part of the settings; if that is right, this is a fault of ours."
            told.put(fail(look.name, f"It could not be looked at ({type(error).__name__}).", fix))
        told.put(None)

    threading.Thread(target=work, name=f"doctor {look.name}", daemon=True).start()
    return told


def _found(
    look: Look, told: "queues.SimpleQueue[Finding | None]", until: float
) -> Iterator[Finding]:
    while True:
        try:
            one = told.get(timeout=max(0.0, until - time.monotonic()))
        except queues.Empty:
            fix = "Look whether it hangs: a disk of the network, a host that drops packets."
            yield fail(look.name, f"It did not answer within {look.seconds:g} s.", fix)
            return
        if one is None:
            return
        yield one


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """What must stand in no finding: secrets of the settings, passwords in addresses, the token."""
    found = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    found += [key.get_secret_value().rpartition(":")[2] for key in settings.api_keys]
    found.append(os.environ.get("HF_TOKEN", ""))
    for address in (settings.database_url, settings.redis_url):
        try:
            found.append(str(make_url(address).password or "") if address else "")
        except Exception:
            # What is no address has no password that could be found in it: none of it is told.
            found.append(address)
    return tuple(one for one in found if len(one) > 3)


def _safe(one: Finding, hidden: tuple[str, ...]) -> Finding:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in hidden:
                value = value.replace(secret, "…")
            return without_tokens(value)
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        return [clean(item) for item in value] if isinstance(value, list) else value

    return replace(one, said=clean(one.said), value=clean(one.value), fix=clean(one.fix))
