"""A family asked for through the form, as a person without JavaScript does."""

import re
from collections.abc import Iterator

import pytest

from app.pages.forms import texts
from boomerang.errors import BadRequest
from boomerang.service.intake.asked import FamilyRequest
from tests.app.conftest import Front
from tests.app.visitor import Visitor

ASKED = {"teacher": "teacher", "text": "texts", "order": "last"}


@pytest.fixture
def browser(shared: Front) -> Iterator[Visitor]:
    visitor = Visitor(shared.base)
    yield visitor
    visitor.client.close()


@pytest.mark.slow("a front end")
def test_a_family_is_asked_for(shared: Front, browser: Visitor) -> None:
    sent = browser.send("/forms/families", on="/new", budget="1G", tasks="", **ASKED)
    assert sent.status_code == 303
    found = re.fullmatch(r"/families/([0-9a-f]{12})\?done=asked", sent.headers["location"])
    assert found is not None
    family = shared.catalog.family(found[1])
    assert (family.teacher, family.order) == ("teacher", "last")
    assert [one.what for one in shared.catalog.requests(family.id)] == ["1G"]
    assert "It is asked for" in browser.get(sent.headers["location"]).text
    again = browser.send("/forms/families", on="/new", budget="1G", **ASKED)
    assert again.headers["location"] == sent.headers["location"]


@pytest.mark.slow("a front end")
@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"teacher": ""}, "teacher", "Field required"),
        ({"teacher": "no/where"}, "teacher", "The Hub did not answer"),
        ({"teacher": "../secret"}, "teacher", "secret"),
        ({"budget": "much"}, "budget", "much"),
        ({"budget": "1"}, "budget", "1"),
        ({"text": "nothing"}, "text", "nothing"),
        ({"recipe": "magic"}, "recipe", "magic"),
        ({"recipe": "{"}, "recipe", "JSON"),
        ({"order": "sideways"}, "order", "sideways"),
        ({"kept": "0, one"}, "kept", "integer"),
        ({"text": ""}, "text", "no text to distil on"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    shared: Front, browser: Visitor, typed: dict[str, str], field: str, said: str
) -> None:
    sent = browser.send(
        "/forms/families", on="/new", **ASKED | {"revision": "kept-as-typed"} | typed
    )
    assert sent.status_code in (404, 422, 502), sent.text
    assert 'value="kept-as-typed"' in sent.text
    [wrong] = re.findall(rf'<p class="error" id="{field}-error"[^>]*>(.*?)</p>', sent.text, re.S)
    assert said in wrong
    assert "{&#34;" not in wrong


def test_text_is_read_as_the_request_takes_it() -> None:
    said = {
        "teacher": "a/b", "budget": '{"memory": "6GB"}', "sizes": "2B, 3B", "kept": "0 1,5",
        "text": "one\ntwo, hf://datasets/a/b", "recipe": "smoke", "tasks": "piqa, arc_easy",
        "task_limit": "9", "publish_namespace": "me", "publish_private": "1", "heal_family": "f",
        "heal_size": "2B",
    }  # fmt: skip
    body = FamilyRequest.model_validate(texts.family_fields(said))
    assert body.model_dump(exclude_none=True) == {
        "teacher": "a/b", "budget": {"memory": "6GB"}, "sizes": ["2B", "3B"], "kept": [0, 1, 5],
        "order": "auto", "recipe": "smoke", "data": ["one", "two", "hf://datasets/a/b"],
        "heal": {"family": "f", "size": "2B"}, "tasks": ["piqa", "arc_easy"], "task_limit": 9,
        "publish": {"namespace": "me", "private": True, "force": False},
    }  # fmt: skip
    assert texts.family_fields({"publish": "1"})["publish"] == {"private": False, "force": False}
    assert texts.tasks("piqa, arc_easy:100  mmlu:x") == {
        "piqa": None,
        "arc_easy": 100,
        "mmlu:x": None,
    }
    for bad in ("{nothing", '{"a":' * 20_000):
        with pytest.raises(BadRequest):
            texts.family_fields({"recipe": bad})
