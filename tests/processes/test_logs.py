"""Lines of a log: JSON or text, with the request they are about, and without tokens."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.processes import trace
from boomerang.processes.logs import LogFormat, begin_logs
from boomerang.processes.redacted import without_tokens

log = logging.getLogger("boomerang.test")
TOKEN, OURS = "hf_" + "b" * 34, "bmr_abcdefghijkl_" + "s" * 43


@pytest.fixture
def kept() -> Iterator[None]:
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    before, level = root.handlers[:], root.level
    quiet = {n: logging.getLogger(n).level for n in ("httpx", "httpcore", "urllib3")}
    yield
    root.handlers, root.level = before, level
    logging.setLogRecordFactory(factory)
    for name, was in quiet.items():
        logging.getLogger(name).setLevel(was)
    logging.getLogger("huggingface_hub").setLevel(logging.NOTSET)


def said(how: LogFormat) -> str:
    to = io.StringIO()
    begin_logs(how, "INFO", to)
    with trace.following("id-1"):
        log.info("%s is here", TOKEN, extra={"key": OURS, "status": 200, "unknown": 1})
    try:
        raise ValueError(f"redis://me:pass@host {TOKEN}")
    except ValueError:
        log.exception("failed")
    log.debug("nobody reads this")
    return to.getvalue()


@pytest.mark.usefixtures("kept")
def test_lines_are_json_with_their_request_and_no_token() -> None:
    text = said("auto")
    first, second = map(json.loads, text.splitlines())
    assert first["event"] == "hf_… is here"
    assert (first["request_id"], first["key"], first["status"]) == ("id-1", "bmr_…", 200)
    assert (first["level"], first["logger"]) == ("info", "boomerang.test")
    assert "unknown" not in first
    assert "request_id" not in second
    assert "Traceback" in second["exception"]
    assert "redis://me:…@host" in second["exception"]


@pytest.mark.usefixtures("kept")
def test_a_figure_that_is_no_number_is_a_line_of_json_all_the_same() -> None:
    to = io.StringIO()
    begin_logs("json", "INFO", to)
    log.info("trained", extra={"seconds": float("nan"), "status": 1})
    line = json.loads(to.getvalue(), parse_constant=lambda name: pytest.fail(name))
    assert (line["seconds"], line["status"]) == ("nan", 1)


@pytest.mark.usefixtures("kept")
def test_text_says_the_same() -> None:
    text = said("text")
    assert "INFO boomerang.test: hf_… is here" in text
    assert "request_id=id-1" in text
    for secret in (TOKEN, OURS, "pass@"):
        assert secret not in text


@settings(max_examples=30)
@given(st.text(), st.text())
def test_a_token_is_found_wherever_it_stands(before: str, after: str) -> None:
    for secret in (TOKEN, OURS):
        assert secret not in without_tokens(f"{before} {secret} {after}")
    assert "sesame" not in without_tokens("postgresql+psycopg://me:sesame@host/db")


@settings(max_examples=30)
@given(st.text(max_size=80))
def test_whatever_is_sent_as_an_id_only_an_id_is_taken(text: str) -> None:
    found = trace.taken(text)
    assert trace.is_id(found)
    assert (found == text) == trace.is_id(text)


@pytest.mark.usefixtures("kept")
def test_nobody_writes_a_line_of_their_own() -> None:
    """An address with a line's end, or what moves a terminal's cursor, stays in its line."""
    to = io.StringIO()
    begin_logs("text", "INFO", to)
    log.info("GET %s", "/a\nb", extra={"path": "/a\r\nERROR all is lost\x1b[2J\u2028é"})
    assert to.getvalue().count("\n") == 1
    assert "GET /a\\nb path=/a\\r\\nERROR all is lost\\x1b[2J\\u2028é\n" in to.getvalue()
