"""What front end and workers keep of questions in Redis, and for how long.

A question and its answer are in no catalog, message or log: they lie under keys that expire.

| key | what |
|---|---|
| `boomerang:play:workers` | some worker listens to the queue |
| `boomerang:play:waiting` | a sorted set of questions that are not answered, by when they came |
| `boomerang:play:ID` | a stream: the events of the answer |
| `boomerang:play:ID:ask` | what is asked, until a worker takes it |
| `boomerang:play:ID:reader` | somebody still reads the answer |
| `boomerang:play:ID:held` | a worker is at it |
"""

from typing import Any

WORKERS = "boomerang:play:workers"
WAITING = "boomerang:play:waiting"

WORKER_SECONDS = 10
"""How long a worker is believed to be there after it said so."""
HELD_SECONDS = 8
"""How long an answer is believed to be under way."""
READER_SECONDS = 10
"""How long a reader is believed to read."""
ASK_SECONDS = 1800
"""How long a question waits at most."""
ANSWER_SECONDS = 120
"""How long an answer lies there after its last word."""
MOST_EVENTS = 8192
"""Of one answer; a token is one at most."""


def answer_key(id_: str) -> str:
    """Where an answer is written."""
    return f"boomerang:play:{id_}"


def ask_key(id_: str) -> str:
    """Where a question lies until it is taken."""
    return f"boomerang:play:{id_}:ask"


def reader_key(id_: str) -> str:
    """What is there as long as somebody reads."""
    return f"boomerang:play:{id_}:reader"


def held_key(id_: str) -> str:
    """What is there as long as a worker answers."""
    return f"boomerang:play:{id_}:held"


def address(redis_url: str) -> str:
    """The address as redis-py reads it: Celery calls a socket's otherwise."""
    scheme, _, path = redis_url.partition("://")
    return f"unix://{path}" if scheme == "redis+socket" else redis_url


def over(event: dict[str, Any]) -> bool:
    """Whether an event is the last one of an answer."""
    return event["event"] in ("done", "failed")


def failed(reason: str, fix: str = "", *, again: bool = False) -> dict[str, Any]:
    """The event that ends an answer with an error; `again` where the same may succeed later."""
    return {"event": "failed", "reason": reason.removesuffix("."), "fix": fix, "again": again}
