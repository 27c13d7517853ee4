"""The command that tells what happened to a family, and what happens: events."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from boomerang.catalog.records.states import STEPS, Event, Fact
from boomerang.catalog.records.words import in_words
from boomerang.cli import options
from boomerang.cli.service.asking import NotMade, is_made
from boomerang.cli.service.client import POLL_SECONDS, RETRY_SECONDS, Service, Told, Unreachable
from boomerang.cli.service.families import FamilyName, address, named

STEP_SECONDS = 10.0
"""How often, at most, it is said in words how far a distillation is."""
LOOK_SECONDS = 1.0
"""How often, at most, it is asked whether a family is settled while other things happen to it."""
_ENDS = frozenset({"family", "student", "measuring", "want"})
"""Kinds of events after which nothing may be left to be done."""
_COMMON = frozenset({"event", "time", "family", "student"})
"""What the data of every event has."""


def events(
    family: FamilyName,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until nothing is left to be done.")
    ] = False,
    after: Annotated[int, typer.Option(min=0, help="Begin after the event of this id.")] = 0,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as JSON.")] = False,
) -> None:
    """Say what happened to a family, and what happens.

    With --follow the exit status is 0 once it is made and all that was asked of it is done, 1 where
    any of it failed or was cancelled.
    """
    say: Callable[[Told], None] = _json_line if as_json else _Words()
    with Service(url, api_key) as service:
        id_ = named(service, family)
        ended = Settled(service, id_, waits=follow)
        for event in followed(service, id_, after, ended):
            say(event)
        if follow:
            is_made(service.family(id_))


class Settled:
    """Whether all that happened to a family was told, and, where it `waits`, nothing more will."""

    def __init__(self, service: Service, id_: str, *, waits: bool) -> None:
        self._service, self._id, self._waits = service, id_, waits
        self._last: int | None = None
        self._looked = -LOOK_SECONDS

    def __call__(self, at: int, *, now: bool) -> bool:
        """Whether the event `at` was the last. It is asked `now`, or once in LOOK_SECONDS."""
        time_ = time.monotonic()
        if self._last is None and (now or time_ - self._looked >= LOOK_SECONDS):
            self._looked = time_
            self._look()
        return self._last is not None and at >= self._last

    def _look(self) -> None:
        with suppress(NotMade):
            if self._waits and not is_made(self._service.family(self._id)):
                return
        # Asked for after that: whatever led to it is not younger.
        entries = self._service.steady(f"{address(self._id)}/log?limit=1")["entries"]
        self._last = entries[0]["id"] if entries else 0


def followed(service: Service, id_: str, after: int, ended: Settled) -> Iterator[Told]:
    """The events of a family until it `ended`, also across restarts of the service.

    Raises Refused, and Unreachable where it stays away.
    """
    at, until = after, time.monotonic() + RETRY_SECONDS
    while not ended(at, now=True):
        try:
            for event in service.events(id_, at):
                until = time.monotonic() + RETRY_SECONDS
                if event is not None:
                    at = event[0]
                    yield event
                if ended(at, now=event is None or event[1] in _ENDS):
                    return
        except Unreachable:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_SECONDS)


def _json_line(told: Told) -> None:
    id_, kind, values = told
    sys.stdout.write(json.dumps({"id": id_, "event": kind, **values}) + "\n")
    sys.stdout.flush()


class _Words:
    """Says events as the log of a family's page does; steps now and then."""

    def __init__(self) -> None:
        self._before: Event | None = None
        self._stepped = -STEP_SECONDS

    def __call__(self, told: Told) -> None:
        id_, kind, values = told
        if kind in STEPS or _so_far(kind, values):
            if time.monotonic() - self._stepped >= STEP_SECONDS:
                self._stepped = time.monotonic()
                self._say(values, _step(values) if kind in STEPS else "Measuring goes on")
            return
        payload = {name: value for name, value in values.items() if name not in _COMMON}
        event = Event(id=id_, time=values["time"], family=values.get("family"),
                      student=values.get("student"), kind=kind, payload=payload)  # fmt: skip
        self._say(values, in_words(event, self._before))
        self._before = event

    def _say(self, values: dict[str, Any], words: str) -> None:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(values["time"]))
        sys.stdout.write(f"{when}  {words}\n")
        sys.stdout.flush()


def _so_far(kind: str, values: dict[str, Any]) -> bool:
    """Whether an event only tells how far a measuring is, as the log of a family has none."""
    if kind == "measuring":
        return bool(values.get("state") == Fact.RUNNING and values.get("reason"))
    part = kind == "member" and values.get("fact") == "measured" and values.get("state") == Fact.NO
    return part and values.get("perplexity") is not None


def _step(values: dict[str, Any]) -> str:
    if "step" not in values:
        return f"{values.get('size')}: {values.get('done', 0):,} of {values.get('of', 0):,} bytes"
    loss = values.get("loss")
    figure = f", loss {loss:.3f}" if isinstance(loss, float) else ""
    return f"Step {values['step']}{figure}"
