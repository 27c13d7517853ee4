"""What /openapi.json declares is what is sent, and which key it asks for is what is asked."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from app.openapi import DescribedAPI
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, StudentState
from tests.app.api.test_provisional import ASKED, large
from tests.app.conftest import Front

pytestmark = pytest.mark.slow("every endpoint is asked in every state of a family")

SECRET = {"X-Webhook-Secret": "told"}
HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


class Contract:
    """The document of a front end, and which of its answers were compared with it."""

    def __init__(self, front: Front) -> None:
        self.document = front.client.get("/openapi.json").json()
        self.front, self.seen = front, set[tuple[str, str, str]]()

    def ask(
        self, path: str, at: str, method: str = "get", status: int = 200, **sent: Any
    ) -> httpx.Response:
        """Ask for `at`, which `path` is the template of, and compare what comes."""
        answer = self.front.client.request(method, at, **sent)
        assert answer.status_code == status, answer.text
        declared = self.document["paths"][path][method]["responses"][str(status)]
        media_type = re.sub(r"; (charset|boundary)=.*", "", answer.headers["content-type"])
        if media_type in ("application/x-tar", "application/octet-stream"):
            for header in set(declared["headers"]) - {"Content-Range"}:
                assert header in answer.headers, (at, header)
        schema = declared["content"][media_type].get("schema", {})
        if media_type.endswith("json"):
            self.validate(schema, answer.json())
            self.seen.add((method, path, str(status)))
        return answer

    def validate(self, schema: dict[str, Any], value: Any) -> None:
        root = {"components": self.document["components"], **schema}
        Draft202012Validator(root).validate(value)

    def documented(self) -> Iterator[tuple[str, str, str]]:
        """Every answer of JSON that is no error."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                for status, answer in operation["responses"].items():
                    if status < "400" and "application/json" in answer.get("content", ()):
                        yield method, path, status


def test_what_is_declared_is_what_is_sent(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_WEBHOOK_SECRET="told")
    contract = Contract(front)
    ask = contract.ask
    one = "/families/{id_}"
    large(front)
    ready = front.ready()
    members = front.catalog.members(ready.id)
    front.catalog.set_fact(
        ready.id, members[0].k, "measured", Fact.YES, perplexity=7.2, kl=0.5,
        naive_perplexity=float("inf"), agreement=0.5, acceptance=0.6, drafted=0.7,
        by_position=[8.5, None], errors={"perplexity": 0.1, "kl": None, "windows": 4},
        generation={"agreement": 0.5, "repetition": 0.1},
        flags=("worse than naive pruning",),
    )  # fmt: skip
    body = {"teacher": "teacher", "data": "texts", "order": "last", "budget": "1G"}
    ask("/plan", "/plan?teacher=teacher&recipe=default&budget=1G")
    ask("/plan", "/plan?teacher=teacher&student=student&order=last")
    ask("/plan", "/plan?teacher=nothing/here/below", status=404)
    ask("/teachers", "/teachers?q=t")
    ask("/usage", "/usage")
    ask("/usage", "/usage?key=nobody", status=404)
    made = ask("/families", "/families", "post", 202, json=body).json()
    other = ask("/families", "/families", "post", 202, json=body | {"order": "first"}).json()
    waiting = ask("/families", "/families", "post", 202, json=ASKED | {"budget": "100M"}).json()
    key = made["student"]["key"]
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 3, "steps": 8, "loss": 1.5, "eta_s": 40.2})
    for id_ in (ready.id, made["id"], waiting["id"]):
        ask(one, f"/families/{id_}")
        ask(f"{one}/curve", f"/families/{id_}/curve")
        ask(f"{one}/log", f"/families/{id_}/log?limit=1")
        assert ask(one, f"/families/{id_}", headers=HTML).headers["vary"] == "Accept"
    front.catalog.set_student_state(key, StudentState.FAILED, "out of memory")
    states = {f["student"]["state"] for f in ask("/families", "/families").json()["families"]}
    assert states == {"ready", "failed", "hashing"}
    ask(f"{one}/rebuild", f"/families/{made['id']}/rebuild", "post", 202)
    ask(f"{one}/rebuild", f"/families/{waiting['id']}/rebuild", "post", 202)
    every = ask("/rebuilds", "/rebuilds", "post", 202).json()
    assert every["waiting"] == [waiting["id"]]
    assert {r["family"] for r in every["rebuilds"]} == {ready.id, made["id"], other["id"]}
    ask(f"{one}/rebuilds", f"/families/{ready.id}/rebuilds")
    number = next(r["id"] for r in every["rebuilds"] if r["family"] == ready.id)
    ask(f"{one}/rebuilds/{{number}}", f"/families/{ready.id}/rebuilds/{number}")
    ask(f"{one}/rebuilds/{{number}}", f"/families/{made['id']}/rebuilds/{number}", status=404)
    ask(f"{one}/cancel", f"/families/{other['id']}/cancel", "post", 202)
    ask(f"{one}/cancel", f"/families/{waiting['id']}/cancel", "post", 202)
    ask(f"{one}/retry", f"/families/{waiting['id']}/retry", "post", 202)
    ask(f"{one}/retry", f"/families/{other['id']}/retry", "post", 202)
    to = {"namespace": "me", "size": "*"}
    ask(f"{one}/publish", f"/families/{waiting['id']}/publish", "post", 409, json=to)
    wants = ask(f"{one}/publish", f"/families/{ready.id}/publish", "post", 202, json=to).json()
    assert [want["what"] for want in wants["wants"]] == ["*"]
    ask(f"{one}/publish", f"/families/{ready.id}/publish", "post", 404, json=to | {"size": "1X"})
    ask(f"{one}/publish", f"/families/{ready.id}/publish", "post", 422, json={"namespace": "me"})
    ask(f"{one}/measure", f"/families/{ready.id}/measure", "post", 202)
    ask(f"{one}/measure", f"/families/{ready.id}/measure", "post", 422, json={"tasks": ["no"]})
    ask("/families/{id_}", "/families/nothing", status=404)
    ask(f"{one}/curve", "/families/nothing/curve", status=404)
    ask(f"{one}/curve", f"/families/{made['id']}/curve?metric=speed", status=422)
    ask(f"{one}/log", "/families/nothing/log", status=404)
    ask(f"{one}/log", f"/families/{made['id']}/log?limit=0", status=422)
    ask("/families", "/families", "post", 422, json={"teacher": "../secret"})

    listed = ask("/models", "/models").json()["models"]
    assert {member["naive_perplexity"] for member in listed} == {None, "inf"}
    assert [8.5, None] in [member["by_position"] for member in listed]
    ask("/models", f"/models?family={ready.id}")
    size, file = "/models/{size}", "/models/{size}/{file}"
    url = f"/models/{members[0].size}"
    ask(size, f"{url}?family={ready.id}", headers=JSON)
    ask(size, f"{url}?family={ready.id}")
    ask(size, f"{url}?family={ready.id}", headers=HTML)
    ask(size, f"{url}?family={ready.id}", status=206, headers={"Range": "bytes=0-9"})
    ask(size, f"{url}?family={ready.id}", status=206, headers={"Range": "bytes=0-9,20-29"})
    ask(size, f"{url}?family={ready.id}", status=416, headers={"Range": "bytes=99999999999-"})
    ask(size, url, status=300, headers=JSON)
    ask(size, url, status=409)
    ask(file, f"{url}/config.json", status=300, headers=JSON)
    ask(size, "/models/1X", status=404)
    ask(file, f"{url}/config.json?family={ready.id}")
    ask(file, f"{url}/nothing?family={ready.id}", status=404)

    ask("/jobs", "/jobs")
    ask("/jobs", "/jobs?limit=0", status=422)
    ask("/readyz", "/readyz", status=503)
    ask("/metrics", "/metrics")
    ask("/healthz", "/healthz")
    event = {"repo": {"type": "dataset", "name": "me/it"}, "updatedRefs": []}
    ask("/webhooks/hub", "/webhooks/hub", "post", 202, json=event, headers=SECRET)
    ask("/webhooks/hub", "/webhooks/hub", "post", 401, json=event)
    ask("/webhooks/hub", "/webhooks/hub", "post", 422, json={"repo": "me/it"}, headers=SECRET)

    [repo, *_] = (one["id"] for one in ask("/api/models", "/api/models").json())
    ask("/api/models", "/api/models?full=true&limit=1")
    model, api = "/api/models/{ns}/{name}", f"/api/models/{repo}"
    sha = ask(model, api).json()["sha"]
    ask(model, f"{api}?blobs=true")
    ask(model, f"{api}?expand=siblings&expand=sha")
    ask(model, "/api/models/boomerang/nothing", status=404)
    ask(f"{model}/revision/{{revision}}", f"{api}/revision/{sha}")
    ask(f"{model}/revision/{{revision}}", f"{api}/revision/old", status=404)
    ask(f"{model}/tree/{{rest}}", f"{api}/tree/main?recursive=true&expand=true")
    ask(f"{model}/tree/{{rest}}", f"{api}/tree/main/nothing", status=404)
    paths = {"paths": ["config.json"], "expand": True}
    ask(f"{model}/paths-info/{{revision}}", f"{api}/paths-info/main", "post", json=paths)
    ask(f"{model}/refs", f"{api}/refs")
    ask(f"{model}/commits/{{revision}}", f"{api}/commits/main")
    ask(f"{model}/auth-check", f"{api}/auth-check")
    resolve = "/{ns}/{name}/resolve/{revision}/{file}"
    ask(resolve, f"/{repo}/resolve/main/config.json")
    ask(resolve, f"/{repo}/resolve/main/nothing", status=404)
    kept = Publication(repo="me/one", family=ready.id, private=True, card="0" * 64)
    front.catalog.set_publication(kept)
    assert ask(one, f"/families/{ready.id}", "delete").json() == {"repositories": ["me/one"]}
    # No queue runs here; tests/app/api/test_families.py has one.
    unseen = {("get", "/readyz", "200")}
    # Nor a worker that tries sizes; tests/app/play has one.
    unseen |= {(m, p, s) for m, p, s in contract.documented() if p.startswith("/v1/")}
    ask("/play", "/play")
    # From here on a key is needed.
    new = {"name": "ci", "scope": "admin", "expires_in": 3600, "quotas": {"families_per_day": 1}}
    key = ask("/keys", "/keys", "post", 201, json=new).json()
    shown = {"headers": {"Authorization": f"Bearer {key['key']}"}}
    ask("/keys", "/keys", "post", 422, json=new, **shown)
    ask("/keys", "/keys", **shown)
    ask("/keys/{id_}", f"/keys/{key['id']}", **shown)
    ask("/keys/{id_}", "/keys/nothing", status=404, **shown)
    assert ask("/audit", "/audit?limit=3", **shown).json()["next"]
    ask("/keys/{id_}", "/keys/ci", "delete", **shown)
    assert set(contract.documented()) - contract.seen == unseen


def test_events_are_as_declared(front: Front) -> None:
    contract = Contract(front)
    front.queued()
    schema = {"$ref": "#/components/schemas/EventData"}
    with front.client.stream("GET", "/events?after=0") as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                contract.validate(schema, json.loads(line.removeprefix("data: ")))
                break


def test_every_example_and_model_is_sound(shared: Front) -> None:
    contract = Contract(shared)
    Draft202012Validator.check_schema(contract.document["components"])
    for name, schema in contract.document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            contract.validate({"$ref": f"#/components/schemas/{name}"}, example)
        if name.endswith("Answer") or name.startswith("Hub"):
            assert schema["additionalProperties"] is False, name
            assert schema["description"]


def test_whatever_asks_the_catalog_may_find_it_away(shared: Front) -> None:
    for path, operations in Contract(shared).document["paths"].items():
        for method, operation in operations.items():
            assert ("503" in operation["responses"]) is (path != "/healthz"), (method, path)


@pytest.mark.long("every endpoint is asked in every state of a family")
@pytest.mark.parametrize("scope", ["read", "build", "publish"])
def test_each_operation_asks_for_the_key_that_it_names(
    make_front: Callable[..., Front], scope: str
) -> None:
    front = make_front(BOOMERANG_API_KEYS=f"{scope}:one")
    scopes = ("read", "build", "publish", "admin")
    for path, operations in Contract(front).document["paths"].items():
        for method, operation in operations.items():
            if path.endswith("events") or path.startswith("/webhooks"):
                continue
            at = re.sub(r"\{\w+\}", "x", path)
            sent = {"json": {}} if method == "post" and "rebuild" not in path else {}
            refused = front.client.request(method, at, **sent).status_code == 403
            needed = operation["security"][0]["key"][0] if operation["security"] else None
            enough = needed is None or scopes.index(scope) >= scopes.index(needed)
            assert refused is not enough, (method, path)
            nameless = httpx.request(method, front.base + at, **sent, trust_env=False)
            assert (nameless.status_code == 401) is (needed is not None), (method, path)


def test_importing_it_describes_nothing() -> None:
    from app.main import create_app
    from app.schemas.families import FamilyAnswer

    app = create_app()
    assert isinstance(app, DescribedAPI)
    assert app.openapi_schema is None
    assert FamilyAnswer.model_config["defer_build"]
