"""Leases, and the error of whoever lost one."""

from dataclasses import dataclass

from boomerang.errors import BoomerangError


class LostLease(BoomerangError):
    """Somebody else took over: whoever sees this must stop and write nothing more."""

    slug, title = "lost-lease", "Another worker took over"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `subject`; `fence` is larger than that of every earlier holder."""

    subject: str
    holder: str
    fence: int
    expires: float
