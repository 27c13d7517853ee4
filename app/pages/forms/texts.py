"""The fields of a form, which are text, as the API takes them; which field an error is about."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData

from app.errors import STATUS
from app.pages.problems import for_people
from boomerang.errors import BadRequest, BoomerangError

_LISTED = re.compile(r"[\s,;]+")
_TASK = re.compile(r"(.+):([0-9]{1,9})")
_NAMED = {"data": "text", "publish": "publish_namespace", "heal": "heal_size"}
"""Fields of the API that a form calls otherwise."""
_ABOUT = {
    "bad-budget": "budget", "budget-out-of-range": "budget", "size-not-found": "sizes",
    "bad-recipe": "recipe", "bad-composition": "order", "student-mismatch": "student",
    "namespace": "publish_namespace", "bad-task": "tasks", "teacher-not-found": "teacher",
    "gated": "teacher", "unsupported-architecture": "teacher",
}  # fmt: skip
"""The field that an error is about where its value does not say."""


def typed(form: FormData) -> dict[str, str]:
    """What was typed, without what is empty and without the token."""
    found = {name: str(value).strip() for name, value in form.items() if name != "csrf"}
    return {name: value for name, value in found.items() if value}


def family_fields(said: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a FamilyRequest. Raises BadRequest for JSON that is none."""
    plain = ("teacher", "revision", "student", "order", "map", "base", "notify", "task_limit")
    found: dict[str, Any] = {name: said[name] for name in plain if name in said}
    for name in ("budget", "recipe"):
        if name in said:
            found[name] = _value(name, said[name])
    for name in ("sizes", "kept", "tasks"):
        if name in said:
            found[name] = listed(said[name])
    if "text" in said:
        texts = [one.strip() for one in re.split(r"[\n,]", said["text"]) if one.strip()]
        found["data"] = texts[0] if len(texts) == 1 else texts
    if "heal_family" in said or "heal_size" in said:
        found["heal"] = _part(said, "heal_", ("family", "size", "steps"))
    if "publish_namespace" in said or said.get("publish"):
        found["publish"] = publish_fields(said, "publish_")
    return found


def publish_fields(said: Mapping[str, str], start: str = "") -> dict[str, Any]:
    """The fields of a PublishTo; a box that is not ticked is not sent."""
    found = _part(said, start, ("namespace", "gated", "collection"))
    boxes: dict[str, Any] = {name: f"{start}{name}" in said for name in ("private", "force")}
    return found | boxes


def tasks(said: str) -> dict[str, int | None]:
    """Tasks by name, with how many examples of each: `piqa, arc_easy:100`."""
    found: dict[str, int | None] = {}
    for one in listed(said):
        limited = _TASK.fullmatch(one)
        found[limited[1] if limited else one] = int(limited[2]) if limited else None
    return found


def listed(said: str) -> list[str]:
    """Names that are separated by commas, blanks or lines."""
    return [one for one in _LISTED.split(said) if one]


def wrong_fields(error: ValidationError) -> dict[str, str]:
    """What is wrong with each field of a form that cannot be understood."""
    found: dict[str, str] = {}
    for one in error.errors():
        name = str(one["loc"][0]) if one["loc"] else ""
        said = str(one["msg"]).removeprefix("Value error, ")
        found.setdefault(_NAMED.get(name, name), f"{said[:1].upper()}{said[1:]}.")
    return found


def wrong_field(error: BoomerangError, said: Mapping[str, str], words: str) -> str:
    """The field that an error is about: whose text it or its `words` name, or by its kind.

    "" where it is about none.
    """
    same = [name for name, text in said.items() if error.value is not None and text == error.value]
    same += [name for name, text in said.items() if repr(text) in words]
    if same:
        return same[0]
    if error.slug == "bad-recipe" and error.value is None:
        return "text"  # none was named, and the service has none
    return _ABOUT.get(error.slug, "")


def in_words(error: BoomerangError) -> str:
    """An error for people: without a fix that is for programs."""
    return f"{error.detail} {for_people(error.fix)}".strip()


def status_of(error: BoomerangError) -> int:
    """The status of a page that says it."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def _part(said: Mapping[str, str], start: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: said[start + name] for name in names if start + name in said}


def _value(name: str, text: str) -> Any:
    """A text, or the object that it is the JSON of."""
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest(
            f"What was typed as the {name} begins like JSON and is none.",
            value=text,
            fix="Type a name, or a whole object.",
        ) from None
