"""Bodies that are small to send and much to read: refused, soon, with an answer that is small."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from app.security import guard
from boomerang.service.redaction import Redactor
from boomerang.service.redaction import given as sent_back
from boomerang.service.settings import Settings
from tests.app.conftest import Front
from tests.app.security.test_guard import said

pytestmark = pytest.mark.slow("a front end that is sent megabytes")

KIND = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MOST = 1_000_000
ANSWER = 70_000
"""Characters of the longest answer, which quotes what was wrong."""


def nested(depth: int, opening: str, closing: str) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("path", ["/families", "/v1/completions", "/keys", "/families/x/rebuild"])
def test_whatever_is_nested_is_refused(shared: Front, path: str) -> None:
    for depth in (100, 480, 700, 950, 990, 20_000):
        for brackets in ("[]", '{"a":}'):
            deep = nested(depth, brackets[:-1], brackets[-1])
            for body in (
                deep,
                *(
                    f'{{"teacher": "teacher", "data": "texts", "{field}": {deep}}}'
                    for field in ("teacher", "budget", "recipe", "order", "name")
                ),
            ):
                answer = shared.client.post(path, content=body, headers=KIND)
                assert answer.status_code in (400, 404, 422), (depth, body[:80], answer.text[:200])
                assert len(answer.content) < ANSWER  # fmt: skip
    assert shared.catalog.families() == ()


def many(text: str, between: str = ",") -> str:
    return between.join([text] * (MOST // (len(text) + 1)))


WIDE = {
    "items": f'{{"teacher": "teacher", "sizes": [{many("1e5")}]}}',
    "names": f'{{"teacher": "teacher", "sizes": [{many(chr(34) + "1B" + chr(34))}]}}',
    "twice": f"{{{many(json.dumps('teacher') + ':0')}}}",
    "keys": f"{{{','.join(f'{json.dumps(str(n))}:0' for n in range(90_000))}}}",
    "text": f'{{"teacher": "{"x" * MOST}"}}',
    "number": f'{{"teacher": "teacher", "budget": {"9" * MOST}}}',
    "escaped": f'{{"teacher": "{many(chr(92) + "u0000", "")}"}}',
    "white": " " * MOST,
}


@pytest.mark.parametrize("how", WIDE)
def test_whatever_is_wide_is_refused_in_few_words(shared: Front, how: str) -> None:
    for kind in ("application/json", "text/html"):
        answer = shared.client.post("/families", content=WIDE[how], headers=KIND | {"Accept": kind})
        assert answer.status_code in (400, 422), answer.text[:200]
        assert len(answer.content) < ANSWER
    assert shared.catalog.families() == ()


def test_forms_have_few_fields(shared: Front) -> None:
    for body in (many("a=1", "&"), many("csrf=1", "&"), "a=" + "x" * MOST):
        answer = shared.client.post("/forms/families", content=body, headers=FORM)
        assert answer.status_code in (400, 403), answer.text[:200]
        assert len(answer.content) < ANSWER


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=25)
@given(JSON_VALUES, st.integers(0, 2000), st.integers(0, 2000))
def test_what_is_sent_back_is_json_and_little(value: Any, deep: int, wide: int) -> None:
    for _ in range(deep):
        value = [value]
    back = sent_back([value, *[1] * wide])
    assert len(back) <= 100
    json.dumps(back, allow_nan=False)
    json.dumps(Redactor(Settings())({"value": value}), allow_nan=False)


def test_a_body_that_never_ends_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.0)
    parts = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> MutableMapping[str, Any]:
        if not parts:
            await asyncio.sleep(3600)
        return parts.pop()

    async def read() -> None:
        bounded = guard._bounded(receive, 10)
        while (await bounded()).get("more_body"):
            pass

    with pytest.raises(HTTPException) as caught:
        asyncio.run(read())
    assert caught.value.status_code == 408


def test_a_request_is_for_one_host(shared: Front) -> None:
    for first, second in (("127.0.0.1", "evil.example"), ("127.0.0.1", "127.0.0.1")):
        status, body = said(shared, f"GET /models HTTP/1.1\nHost: {first}\nHost: {second}")
        assert status == 400
        assert json.loads(body)["value"] == [first, second]
