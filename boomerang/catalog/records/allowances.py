"""How much a key may use, and how much it has used."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from boomerang.errors import BoomerangError

DAY = 86_400
"""Seconds of a day; days are whole ones, UTC, since 1970."""


class TooMany(BoomerangError):
    """More at once, or in so little time, than somebody may have; `retry_after` is in seconds."""

    slug, title = "too-many", "Too many requests"
    transient = True

    def __init__(
        self, detail: str, *, value: object = None, fix: str = "", retry_after: float = 1.0
    ) -> None:
        super().__init__(detail, value=value, fix=fix)
        self.retry_after = retry_after


class QuotaSpent(TooMany):
    """A key has used what it may use in a day."""

    slug, title = "quota", "A quota is used up"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a key may use; 0 is no limit.

    `running_at_once` are students that are distilled, `plays_at_once` questions to sizes,
    `requests_burst` requests that may come at once where `requests_per_second` is the long run.
    """

    families_per_day: int = 0
    running_at_once: int = 0
    device_hours_per_day: float = 0.0
    bytes_per_day: int = 0
    requests_per_second: float = 0.0
    requests_burst: int = 0
    plays_at_once: int = 0

    def with_quotas(self, quotas: Mapping[str, Any] | None) -> "Allowance":
        """The same but for what a key has quotas of its own for."""
        known = {field.name for field in fields(self)}
        own = {name: value for name, value in (quotas or {}).items() if name in known}
        return replace(self, **{k: v for k, v in own.items() if v is not None})


UNLIMITED = Allowance()
"""What a key with the scope `admin` may use, but for quotas of its own."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a key used on a day: families and requests counted, seconds of devices, bytes sent."""

    day: int
    families: int = 0
    device_seconds: float = 0.0
    bytes: int = 0
