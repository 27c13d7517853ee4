"""The list of families a page at a time, over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from app.main import create_app
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.service.settings import Settings
from tests.app.serving.test_scale import counted, grow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A front end with seven families, of which one is being distilled."""
    home = tmp_path_factory.mktemp("home")
    app = create_app(Settings(home=home, redis_url="redis://127.0.0.1:1/0"))
    json = {"Accept": "application/json"}
    with TestClient(app, base_url="http://127.0.0.1", headers=json) as opened:
        catalog = app.state.context.catalog
        grow(catalog, 0, 7)
        catalog.set_student_state(f"{3:032}", StudentState.DISTILLING)
        yield opened


def catalog_of(client: TestClient) -> Catalog:
    found: Catalog = client.app.state.context.catalog  # type: ignore[attr-defined]
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [family["name"] for family in found["families"]]


@pytest.mark.parametrize("path", ["/families", "/"])
def test_every_page_follows_the_one_before(client: TestClient, path: str) -> None:
    seen, at, pages = [], f"{path}?limit=3", 0
    while at is not None:
        answer = client.get(at)
        assert answer.status_code == 200, answer.text
        seen += names(answer.json())
        assert answer.json()["counts"]["queued"] == 6
        at, pages = answer.json()["next"], pages + 1
    assert (seen, pages) == ([f"T{i}" for i in (6, 5, 4, 3, 2, 1, 0)], 3)


def test_all_of_them_are_had_by_who_asks_for_no_page(client: TestClient) -> None:
    found = client.get("/families").json()
    assert set(found) == {"families"}
    whole = {family["id"]: family for family in found["families"]}
    assert len(whole) == 7
    # Of a page each is as it is in the whole list.
    for family in client.get("/families?limit=4").json()["families"]:
        assert family == whole[family["id"]]


def test_a_state_and_what_is_searched(client: TestClient) -> None:
    assert names(client.get("/families?state=distilling").json()) == ["T3"]
    assert names(client.get("/families", params={"q": "ORG/t5"}).json()) == ["T5"]
    found = client.get("/families?q=org&limit=2&state=queued").json()
    assert found["next"].startswith("/families?q=org&state=queued&limit=2&before=")
    assert names(client.get("/?q=nothing").json()) == []


@pytest.mark.parametrize(
    "asked",
    ["limit=0", "limit=101", "limit=x", "state=asleep", "before=x", "before=nan~", "before=1e999~a",
     f"q={'x' * 201}"],
)  # fmt: skip
def test_what_makes_no_sense_is_said(client: TestClient, asked: str) -> None:
    answer = client.get(f"/families?{asked}")
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["fix"]


def test_it_is_as_declared(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schema = {"$ref": "#/components/schemas/FamiliesAnswer", "components": document["components"]}
    Draft202012Validator(schema).validate(client.get("/families?limit=3").json())
    asked = {one["name"] for one in document["paths"]["/families"]["get"]["parameters"]}
    assert asked == {"q", "state", "mine", "limit", "before"}


def test_a_page_reads_no_more_than_it_shows(client: TestClient) -> None:
    catalog = catalog_of(client)
    with counted(catalog) as few:
        client.get("/families?limit=2")
    with counted(catalog) as more:
        client.get("/families?limit=6")
    assert len(few) == len(more) <= 10
