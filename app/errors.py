"""Errors as RFC 9457 problem details: the one place that maps the exception tree to HTTP."""

import json
import logging
import math
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from boomerang.catalog.keys.owners import NotYours
from boomerang.catalog.records.allowances import TooMany
from boomerang.catalog.records.states import CatalogChanged
from boomerang.errors import (
    BadRequest,
    BoomerangError,
    BudgetOutOfRange,
    GatedTeacher,
    HubBusy,
    HubFailure,
    NamespaceRefused,
    NoPlayer,
    NotFound,
    NotReady,
    PlayBusy,
    SourceChanged,
    Unusable,
)
from boomerang.retries import passes
from boomerang.service.redaction import Redactor, given

log = logging.getLogger("boomerang.app")


class LacksScope(BoomerangError):
    """A key that may not do what was asked with it."""

    slug, title = "scope", "Not with this key"


class FormRefused(BoomerangError):
    """A form that no page of ours can have sent from this browser."""

    slug, title = "form", "Not from a page of this service"


STATUS: tuple[tuple[type[BoomerangError], int], ...] = (
    (GatedTeacher, 403),
    (NamespaceRefused, 403),
    (LacksScope, 403),
    (FormRefused, 403),
    (NotYours, 403),
    (NotFound, 404),
    (NotReady, 409),
    (SourceChanged, 410),
    (BadRequest, 422),
    (BudgetOutOfRange, 422),
    (Unusable, 422),
    (HubBusy, 503),
    (PlayBusy, 429),
    (TooMany, 429),
    (NoPlayer, 503),
    (CatalogChanged, 503),
    (HubFailure, 502),
)


Shown = Callable[[Request, JSONResponse], Response]
"""A problem as whoever asked reads it: as a page, or as it is."""
NO_SNIFF = [(b"x-content-type-options", b"nosniff")]
_SHOWN = (str, int, float, list, dict, tuple)


def problem(
    status: int, slug: str, title: str, detail: str, *, value: Any = None, fix: str = "",
    headers: dict[str, str] | None = None,
) -> JSONResponse:  # fmt: skip
    """A problem detail: `type`, `title`, `status`, `detail`, the offending `value`, the `fix`."""
    body = {"type": f"urn:boomerang:{slug}", "title": title, "status": status,
            "detail": detail, "value": value, "fix": fix}  # fmt: skip
    return JSONResponse(body, status, headers, media_type="application/problem+json")


OPENAI = "/v1/"
"""Where errors are in the form that OpenAI's clients read."""
_FIXES = {404: "GET /docs lists what there is.", 408: "Send the whole body at once."}
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_NO_MODEL = {"size-not-found", "family-not-found"}


def openai_error(answer: Response) -> JSONResponse:
    """A problem detail as OpenAI's clients read it; 422 is 400 there."""
    said: dict[str, Any] = json.loads(bytes(answer.body))
    slug = said["type"].rpartition(":")[2]
    kind = "server_error" if said["status"] >= 500 else "invalid_request_error"
    error = {
        "message": f"{said['detail']} {said['fix']}".strip(),
        "type": _KINDS.get(said["status"], kind),
        "param": said["value"] if slug == BadRequest.slug else None,
        "code": "model_not_found" if slug in _NO_MODEL else slug,
    }
    status = 400 if answer.status_code == 422 else answer.status_code
    kept = {k: v for k, v in answer.headers.items() if not k.startswith("content-")}
    return JSONResponse({"error": error}, status, kept)


def too_long(most: int) -> JSONResponse:
    """The answer to a body that is longer than any of sense; what still comes is dropped."""
    return problem(413, "too-long", "Too long", f"A body may have {most} bytes here.", value=most,
                   fix="Send less at once.")  # fmt: skip


def _away(said: Callable[[Request, JSONResponse], Response], request: Request) -> Response:
    """What the service itself needs does not answer: whoever asks again later is answered."""
    answer = said(request, problem(
        503, "away", "Something is away",
        "What this needs is away for now: the database, the queue, or room on the machine.",
        fix="Ask again.", headers={"Retry-After": "5"},
    ))  # fmt: skip
    answer.raw_headers.extend(NO_SNIFF)
    return answer


def install(app: FastAPI, redact: Redactor, shown: Shown) -> None:
    """Answer every error of the application with a problem detail, as it is to be `shown`."""

    def said(request: Request, answer: JSONResponse) -> Response:
        openai = request.url.path.startswith(OPENAI)
        return openai_error(answer) if openai else shown(request, answer)

    @app.exception_handler(BoomerangError)
    async def ours(request: Request, error: BoomerangError) -> Response:
        status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
        again = status in (409, 429, 503)
        headers = {"Retry-After": str(math.ceil(getattr(error, "retry_after", 5)))} if again else {}
        if isinstance(error, LacksScope | TooMany):
            headers["X-Error-Message"] = error.detail  # which the Hub's client shows
        value = redact.value(error.value) if isinstance(error.value, _SHOWN) else None
        answer = problem(status, error.slug, error.title, redact(error.detail), value=value,
                         fix=redact(error.fix), headers=headers)  # fmt: skip
        return said(request, answer)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        # Of a union only the field's own name: "recipe", not "recipe.str".
        found = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
        where = "body" if not found or found[0].isdigit() else found[0]
        value = first.get("input")
        told = value if isinstance(value, _SHOWN) and first["type"] != "missing" else None
        if request.url.path.startswith(OPENAI):
            told = where
        answer = problem(422, "bad-request", BadRequest.title, redact(f"{where}: {first['msg']}."),
                         value=given(told), fix="GET /docs lists its fields.")  # fmt: skip
        return said(request, answer)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if error.status_code == 413:
            return said(request, too_long(int(error.detail)))
        fix = _FIXES.get(error.status_code, "")
        answer = problem(error.status_code, "http", str(error.detail), str(error.detail),
                         value=given(request.url.path), fix=fix,
                         headers=dict(error.headers or {}))  # fmt: skip
        return said(request, answer)

    @app.exception_handler(RecursionError)
    async def deep(request: Request, error: RecursionError) -> Response:
        # What reads or quotes a value follows it down; only what came with a request is so deep.
        log.warning("%s %s is nested too deep", request.method, request.url.path)
        answer = problem(422, BadRequest.slug, BadRequest.title, "The body is nested too deep.",
                         fix="GET /docs lists its fields.")  # fmt: skip
        return said(request, answer)

    @app.exception_handler(Exception)
    async def ours_to_mend(request: Request, error: Exception) -> Response:
        if passes(error):
            log.warning("%s %s: %s", request.method, request.url.path, type(error).__name__)
            return _away(said, request)
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        fault = problem(500, "internal", "Something failed here", "The service has a fault.",
                        value=type(error).__name__, fix="Its log says which.")  # fmt: skip
        answer = said(request, fault)
        # Sent from outside of every middleware.
        answer.raw_headers.extend(NO_SNIFF)
        return answer
