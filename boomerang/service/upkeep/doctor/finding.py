"""What was found of one part of a set-up."""

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it `is`, the `value` that says so, the `fix` that helps.

    `warn` is what works and may surprise, `fail` what does not work.
    """

    name: str
    state: State
    said: str
    value: Any = None
    fix: str = ""


def ok(name: str, said: str, value: Any = None) -> Finding:
    """Something that is as it should be."""
    return Finding(name, "ok", said, value)


def warn(name: str, said: str, fix: str, value: Any = None) -> Finding:
    """Something that works, and may surprise."""
    return Finding(name, "warn", said, value, fix)


def fail(name: str, said: str, fix: str, value: Any = None) -> Finding:
    """Something that does not work."""
    return Finding(name, "fail", said, value, fix)


SURPRISE_SECONDS, WRONG_SECONDS = 5.0, 60.0
"""How far clocks may be apart: beyond the first a log misleads, beyond the second signatures, keys
and certificates are refused."""


def clock(name: str, ahead: float, whose: str) -> Finding:
    """How far a clock is ahead of this machine's, in seconds."""
    told = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    fix = "Have both machines ask a time server (timedatectl set-ntp true)."
    value = round(ahead, 1)
    if abs(ahead) > WRONG_SECONDS:
        return fail(name, f"The clock of {whose} is {told}.", fix, value)
    if abs(ahead) > SURPRISE_SECONDS:
        return warn(name, f"The clock of {whose} is {told}.", fix, value)
    return ok(name, f"The clock of {whose} is this machine's.", value)
