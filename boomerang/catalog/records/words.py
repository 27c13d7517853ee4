"""What events say, in words: one short sentence each, as a log shows them."""

from collections.abc import Callable
from typing import Any, Literal

from boomerang.catalog.records.states import Event, Fact, StudentState

Tone = Literal["plain", "good", "bad"]
Payload = dict[str, Any]

_MOVES = {"no": "waits", "running": "began", "yes": "is done", "failed": "failed"}
_FACTS = {
    ("built", "running"): "{size} is being built",
    ("built", "yes"): "{size} is built",
    ("built", "failed"): "{size} could not be built",
    ("built", "no"): "{size} is to be built again",
    ("measured", "yes"): "{size} is measured",
    ("measured", "no"): "{size} is to be measured again",
    ("published", "running"): "{size} is being published",
    ("published", "yes"): "{size} is published",
    ("published", "failed"): "{size} could not be published",
    ("published", "no"): "{size} is to be published again",
}
_STUDENT = {
    "hashing": "Its files are being hashed",
    "queued": "The student waits for a worker",
    "distilling": "Distilling began",
    "ready": "The student is ready",
    "failed": "Distilling failed",
    "cancelled": "Distilling was cancelled",
}
_FAMILY = {
    "created": "The family was asked for",
    "keyed": "Its files are hashed",
    "deleted": "The family was deleted",
    "ready": "The family is ready",
    "failed": "The family failed",
    "cancelled": "The family was cancelled",
    "outdated": "Its teacher has a newer commit",
    "current": "It is of its teacher's newest commit",
    "followed": "A family of the newer commit follows it",
    "not-followed": "No family of the newer commit follows it",
}
_BAD = {"set-aside", "unsound", "not-kept", "not-taken", "unverified", "untold"}


def in_words(event: Event, before: Event | None = None) -> str:
    """One sentence without its full stop, with the reason after a colon where there is one.

    What happened just `before` for the same reason has told that already.
    """
    told = event.payload
    said = _SAID[event.kind](told) if event.kind in _SAID else event.kind.replace("-", " ")
    reason = told.get("reason")
    if before is not None and before.payload.get("reason") == reason:
        return said
    return f"{said}: {reason}" if reason else said


def tone(event: Event) -> Tone:
    """Whether what happened is good news, bad news or neither."""
    state = str(event.payload.get("state", ""))
    failed = state == Fact.FAILED or bool(event.payload.get("failed"))
    if failed or event.kind in _BAD:
        return "bad"
    made = event.kind in ("family", "student") and state == StudentState.READY
    done = event.kind in ("member", "measuring", "rebuild", "want") and state == Fact.YES
    return "good" if made or done or event.kind in ("kept", "verified") else "plain"


def _student(told: Payload) -> str:
    said = _STUDENT.get(told["state"], f"The student is {told['state']}")
    return f"{said}, from step {told['step']}" if told["state"] == "distilling" and told.get(
        "step"
    ) else said  # fmt: skip


def _family(told: Payload) -> str:
    state = told["state"]
    if state == "rebuild":
        return "A new generation was asked for" if told.get("force") else "A rebuild was asked for"
    said = _FAMILY.get(state, f"The family is {state}")
    beside = {"followed": "by", "outdated": "commit"}.get(state)
    return f"{said}, {told[beside]}" if beside and told.get(beside) else said


def _member(told: Payload) -> str:
    said = _FACTS.get((told["fact"], told["state"]), "{size}: {fact} {state}").format(**told)
    if told["fact"] == "measured" and told.get("perplexity") is not None:
        said += f", perplexity {_short(told['perplexity'])}"
        said += f", KL {_short(told['kl'])}" if told.get("kl") is not None else ""
    if told["fact"] == "published" and told.get("repo"):
        said += f" as {told['repo']}"
    return said


def _task(told: Payload) -> str:
    if told.get("failed"):
        return f"{told['size']} has no result in {told['name']}: {told['failed']}"
    metrics = [one for one in told.get("metrics") or () if one.get("value") is not None]
    found = f": {metrics[0]['metric']} {_short(metrics[0]['value'])}" if metrics else ""
    return f"{told['size']} was tried in {told['name']}{found}"


def _estimate(told: Payload) -> str:
    parts = ["It will take about"]
    parts.append(_duration(told["seconds"]) if told.get("seconds") else "an unknown time")
    if told.get("devices"):
        parts.append(f"on {told['devices']} device{'s' * (told['devices'] > 1)}")
    if told.get("memory_bytes"):
        parts.append(f"and {told['memory_bytes'] / 2**30:.2f} GiB of memory")
    return " ".join(parts)


def _want(told: Payload) -> str:
    kind = {"build": "Building", "publish": "Publishing"}.get(told["kind"], told["kind"])
    what = "every size" if told["what"] == "*" else told["what"]
    return f"{kind} {what} {_MOVES.get(told['state'], told['state'])}"


def _measuring(told: Payload) -> str:
    return f"Measuring {_MOVES.get(told['state'], told['state'])}"


def _rebuild(told: Payload) -> str:
    return f"The rebuild {_MOVES.get(told['state'], told['state'])}"


def _memory(told: Payload) -> str:
    before = f", was {told['before']}" if told.get("before") else ""
    return f"Memory was short: {told['micro_batch']} sequences at a time{before}"


def _map(told: Payload) -> str:
    kept = ", ".join(str(layer) for layer in told["kept"])
    return f"It keeps {len(told['kept'])} of {told['layers']} layers: {kept}"


def _duration(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


_SAID: dict[str, Callable[[Payload], str]] = {
    "family": _family,
    "student": _student,
    "member": _member,
    "task": _task,
    "estimate": _estimate,
    "want": _want,
    "measuring": _measuring,
    "rebuild": _rebuild,
    "memory": _memory,
    "map": _map,
    "mapping": lambda _: "The layers to keep are being measured",
    "members": lambda told: f"The ladder has {told['count']} sizes",
    "order": lambda told: f"The patch order is settled, {told['order']}",
    "verified": lambda _: "The student was looked at and is whole",
    "unverified": lambda _: "The student could not be looked at",
    "set-aside": lambda told: f"What was made of {told.get('teacher', 'it')} is set aside",
    "unsound": lambda told: f"The loss ran away at step {told['step']}",
    "delta": lambda _: "The weights' difference was carried over",
    "kept": lambda told: f"The student is kept on the Hub, in {told['repo']}",
    "not-kept": lambda _: "The student could not be kept on the Hub",
    "not-taken": lambda told: f"The student is not taken from {told['repo']}",
    "untold": lambda told: f"{told['host']} did not take the notice {told['notice']}",
}
