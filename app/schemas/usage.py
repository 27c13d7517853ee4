"""What a key used, and what it may use."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer
from boomerang.catalog.records.allowances import DAY, Allowance, Used

EXAMPLE: dict[str, Any] = {
    "key": "ci", "resets_in": 30_600,
    "allowance": {
        "families_per_day": 20, "running_at_once": 2, "device_hours_per_day": 24.0,
        "bytes_per_day": 0, "requests_per_second": 50.0, "requests_burst": 200, "plays_at_once": 4,
    },
    "today": {"day": "2026-01-01", "families": 3, "device_hours": 1.25, "bytes": 8_123_456_789},
    "days": [
        {"day": "2026-01-01", "families": 3, "device_hours": 1.25, "bytes": 8_123_456_789},
        {"day": "2025-12-30", "families": 1, "device_hours": 6.5, "bytes": 0},
    ],
}  # fmt: skip


class AllowanceAnswer(Answer):
    """What a key may use; 0 is no limit."""

    families_per_day: int = Field(description="new ones that it asks for")
    running_at_once: int = Field(description="students that are distilled; others wait")
    device_hours_per_day: float = Field(description="then its students wait for the next day")
    bytes_per_day: int = Field(description="of models that it downloads")
    requests_per_second: float = Field(description="in the long run, of each front end")
    requests_burst: int
    plays_at_once: int = Field(description="questions to sizes that wait")


class DayAnswer(Answer):
    """What a key used on a day."""

    day: str = Field(description="as 2026-01-31, UTC")
    families: int
    device_hours: float = Field(description="hours of distilling and measuring, times devices")
    bytes: int = Field(description="as they were sent, and written down every few seconds")


class UsageAnswer(Answer):
    """What a key used of late, and what it may use."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    key: str | None = Field(description="its name; null where no keys are needed")
    resets_in: int = Field(description="seconds until the next day (UTC)")
    allowance: AllowanceAnswer
    today: DayAnswer
    days: list[DayAnswer] = Field(description="on which it used anything, newest first")


def usage_view(
    name: str | None, may: Allowance, today: Used, days: tuple[Used, ...], now: float
) -> dict[str, Any]:
    """The answer, at `now` (seconds since 1970)."""
    return {
        "key": name,
        "resets_in": int(DAY - now % DAY),
        "allowance": asdict(may),
        "today": _day(today),
        "days": [_day(one) for one in days],
    }


def _day(used: Used) -> dict[str, Any]:
    day = datetime.fromtimestamp(used.day * DAY, UTC).date().isoformat()
    hours = round(used.device_seconds / 3600, 4)
    return {"day": day, "families": used.families, "device_hours": hours, "bytes": used.bytes}
