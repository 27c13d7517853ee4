"""The command that looks at a set-up and says what to mend: doctor."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from boomerang import __version__
from boomerang.cli import options
from boomerang.cli.service.running import settings
from boomerang.cli.show import emit
from boomerang.errors import BadRequest
from boomerang.service.upkeep.doctor.examining import examine, looks_of
from boomerang.service.upkeep.doctor.finding import Finding, fail

_LOOKS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(as_json: options.Json = False) -> None:
    """Look at a set-up, and say what to mend.

    To be run where a front end or a worker runs, with its settings. Nothing is changed. The exit
    status is 1 where something does not work.
    """
    found = _found()
    sound = all(one.state != "fail" for one in found)
    shown = {"version": __version__, "ok": sound, "findings": [asdict(one) for one in found]}
    emit(shown, as_json, doctor_view)
    if not sound:
        raise typer.Exit(1)


def _found() -> tuple[Finding, ...]:
    try:
        here = settings()
    except BadRequest as error:
        return (fail("settings", error.detail, error.fix),)
    return examine(here, looks_of(__version__))


def doctor_view(shown: Mapping[str, Any]) -> Text:
    """A line for each finding, and one with what helps below those that need it."""
    text, counts = Text(), {"ok": 0, "warn": 0, "fail": 0}
    for one in shown["findings"]:
        counts[one["state"]] += 1
        text.append(f"{one['state']:<5}", _LOOKS[one["state"]])
        text.append(f" {one['name']}: {one['said']}\n")
        if one["fix"]:
            text.append(f"      {one['fix']}\n")
    text.append(f"{counts['fail']} do not work, {counts['warn']} may surprise, "
                f"{counts['ok']} are as they should be.")  # fmt: skip
    return text
