"""The contract of /openapi.json: what FastAPI finds, and what no route can say of itself.

Models are declared at the routes for it alone. Answers are made of records and sent as they are;
tests/app/test_contract.py proves that they are what is declared.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from app.errors import OPENAI
from app.schemas.answer import Answer, EventData, OpenAIError, Problem
from app.schemas.hub import HubPaths
from app.schemas.play import PlayEvent
from app.security.scopes import changes, reads, scope_of, takes_forms

Responses = dict[int | str, dict[str, Any]]

KEY, SECRET = "key", "webhook"
_SCHEMES = {
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the catalog, or one of BOOMERANG_API_KEYS. `read` is for whatever "
        "changes nothing, `build` for what starts work and for what ends one's own, `publish` for "
        "what pushes to the Hub, `admin` for keys and everybody's work; each has those before it. "
        "On loopback without keys none is needed. Browsers may send it as a password.",
    },
    SECRET: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Webhook-Secret",
        "description": "BOOMERANG_WEBHOOK_SECRET, as the Hub sends it.",
    },
}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_OPENAI = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}
_TEXT = {"schema": {"type": "string"}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}


def headers(**named: str) -> dict[str, Any]:
    """Headers that an answer has, each with what it says."""
    return {name.replace("_", "-"): {"description": text, **_TEXT} for name, text in named.items()}


LOCATION = headers(Location="its address")
_VALIDATORS = headers(ETag="names its bytes", Accept_Ranges="bytes", Cache_Control="how to keep")
_RETRY = headers(Retry_After="seconds")


def problems(*statuses: int) -> Responses:
    """Errors of a route, beside those that any may have."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": _PROBLEM}
        | ({"headers": _RETRY} if status in (409, 429, 503) else {})
        for status in statuses
    }


ANY: Responses = {
    "default": {"description": "What went wrong, and what helps", "content": _PROBLEM}
}


def text(media_type: str, description: str, **schema: Any) -> Responses:
    """An answer that is text of some kind."""
    content = {media_type: {"schema": _TEXT["schema"] | schema}}
    return {200: {"description": description, "content": content}}


def download_of(media_type: str, *others: str, **named: str) -> Responses:
    """A download: whole, in ranges, or not again; `named` are the headers it has besides.

    `others` are the types of text that may be had instead.
    """
    content = {media_type: _BYTES}
    whole = content | dict.fromkeys(others, _TEXT)
    shown = _VALIDATORS | headers(**named)
    part = shown | headers(Content_Range="which bytes these are, where it is one range")
    ranges = content | {"multipart/byteranges": _BYTES}
    return {
        200: {"description": "All of it", "content": whole, "headers": shown},
        206: {"description": "The ranges asked for", "content": ranges, "headers": part},
        304: {"description": "If-None-Match names it: nothing is sent", "headers": shown},
        **problems(412, 416, 429),
    }


class DescribedAPI(FastAPI):
    """FastAPI, whose document says also which key each operation needs."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        components = document["components"]
        for model in (Problem, OpenAIError, EventData, HubPaths, PlayEvent):
            components["schemas"][model.__name__] = model.model_json_schema(mode="serialization")
        for answer in Answer.__subclasses__():
            # FastAPI takes every null out of its document, those of examples too.
            components["schemas"].get(answer.__name__, {}).update(answer.examples())
        components["securitySchemes"] = _SCHEMES
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _secure(operation, method.upper(), path)
                _refuse(operation, method.upper(), path)
        return document


def _refuse(operation: dict[str, Any], method: str, path: str) -> None:
    """Declare what anybody may be answered before a route is reached, each by its status.

    FastAPI declares its own errors where there is no `default`, which stands in their place.
    """
    known = operation["responses"]
    known.pop("default", None)
    statuses = [400, 403, 421, 422, 431, *((404,) if "{" in path else ())]
    if scope_of(method, path) is not None:
        statuses += [401, 429]
    if changes(method, path):
        statuses += [408, 413, 415, 429]
    if takes_forms(path) or reads(method, path):
        statuses += [408, 413, 415]
    if path != "/healthz":
        # What it needs may be away.
        statuses += [503]
    for status in {s for s in statuses if str(s) not in known}:
        known |= {str(status): problems(status)[status]}
    if "404" in known:
        # An address that no route takes, by a character of it, is no name that is looked for.
        content = known["404"]["content"]
        known["404"] = known["404"] | {"content": content | _PROBLEM}
    if path.startswith(OPENAI):
        for status, answer in known.items():
            if int(status) >= 400:
                answer["content"] = _OPENAI


def _secure(operation: dict[str, Any], method: str, path: str) -> None:
    if path.startswith("/webhooks/"):
        operation["security"] = [{SECRET: []}]
        return
    scope = scope_of(method, path)
    # An empty one: on loopback nothing is asked for.
    operation["security"] = [] if scope is None else [{KEY: [scope]}, {}]
    if scope is not None:
        refused: Responses = problems(401, 403)
        hub = "hub" in operation.get("tags", ())
        known = operation["responses"]
        known |= {str(k): v for k, v in refused.items() if not (hub and str(k) in known)}
