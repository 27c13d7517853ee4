"""What a process writes of what it does: one line each, as JSON or as text, without tokens.

Whoever logs uses `logging`, with fields in `extra` (FIELDS names those that are written). Each line
has the id of the request that it is about (trace.py), where there is one.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

from boomerang.processes import trace
from boomerang.processes.redacted import redact_logs, without_tokens

LogFormat = Literal["auto", "json", "text"]
FORMAT, LEVEL = "BOOMERANG_LOG_FORMAT", "BOOMERANG_LOG_LEVEL"
"""Where children read what their parent was told."""

FIELDS = (
    *("method", "route", "path", "status", "ms", "first_ms", "bytes", "key"),
    *("task", "task_id", "subject", "outcome", "seconds"),
    *("child", "child_pid", "step", "steps", "loss", "tokens_per_s"),
)
"""The fields of lines; what libraries add to their records stays out."""

_OTHERS = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "celery")
"""Loggers that come with handlers of their own."""

Line = MutableMapping[str, Any]


def begin_logs(
    how: LogFormat = "auto", level: str = "INFO", to: TextIO | None = None
) -> logging.Handler:
    """Have this process log to `to` (stderr) from here on: `auto` is text on a terminal, else JSON.

    Called again, it begins anew. Raises ValueError for a level that logging does not know.
    """
    # Whoever only imports this waits for none of it: a tenth of a second.
    from structlog import processors, stdlib  # noqa: PLC0415

    redact_logs()
    stream = sys.stderr if to is None else to
    text = how == "text" or (how == "auto" and stream.isatty())
    written = _text if text else processors.JSONRenderer(_json)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                processors.TimeStamper(fmt="iso", utc=True, key="time"),
                stdlib.add_log_level, stdlib.add_logger_name,
                stdlib.ExtraAdder(FIELDS), _request, _error,
            ],
            processors=[stdlib.ProcessorFormatter.remove_processors_meta, _plain, written],
            use_get_message=True,
        )
    )  # fmt: skip
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _OTHERS:
        other = logging.getLogger(name)
        other.handlers, other.propagate = [], True
        other.setLevel(logging.NOTSET)
    # Each request has a line of ours, which has no query.
    logging.getLogger("uvicorn.access").propagate = False
    # At every request to the Hub, with its whole address; httpx tells nothing that we do not.
    for name in ("httpx", "httpcore", "urllib3", "huggingface_hub"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    return handler


def begin_child_logs() -> None:
    """Have a child process log as its parent was told to, for the request that it works for."""
    trace.inherit()
    how = os.environ.get(FORMAT, "auto")
    known: LogFormat = "json" if how == "json" else "text" if how == "text" else "auto"
    level = os.environ.get(LEVEL) or "INFO"
    begin_logs(known, level)
    # torch and its kind say at length what they do; the job's own lines are wanted.
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("boomerang").setLevel(level.upper())


def _request(_logger: Any, _name: str, line: Line) -> Line:
    id_ = trace.current()
    return line if id_ is None else {**line, "request_id": id_}


def _error(_logger: Any, _name: str, line: Line) -> Line:
    """The traceback as text, from which the record has taken the tokens already."""
    line.pop("exc_info", None)
    record = line.get("_record")
    said = getattr(record, "exc_text", None)
    return {**line, "exception": said} if said else line


def _plain(_logger: Any, _name: str, line: Line) -> Line:
    """No token in any field, whoever put it there."""
    return {k: without_tokens(v) if isinstance(v, str) else v for k, v in line.items()}


def _json(line: Mapping[str, Any], default: Any = None, **_: Any) -> str:
    try:
        return json.dumps(line, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        # A loss may be none, for which JSON has no number.
        return json.dumps({k: _number(v) for k, v in line.items()}, ensure_ascii=False, default=str)


def _number(value: Any) -> Any:
    return value if isinstance(value, int | str | None) else str(value)


def _text(_logger: Any, _name: str, line: Line) -> str:
    said = dict(line)
    head = f"{said.pop('time')} {said.pop('level').upper()} {said.pop('logger')}: "
    event, error = said.pop("event"), said.pop("exception", None)
    fields = "".join(f" {name}={value}" for name, value in said.items())
    return f"{head}{_one_line(f'{event}{fields}')}" + (f"\n{error}" if error else "")


def _one_line(text: str) -> str:
    """A text without what would begin another line, or move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
