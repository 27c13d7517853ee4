"""What a key used and may use, and what it is refused for, over the API and the command line."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from boomerang.catalog.records.keys import Key
from boomerang.cli.service.client import Service
from boomerang.cli.service.usage import view
from tests.app.api.test_layers import FIELDS
from tests.app.conftest import Front, problem

pytestmark = pytest.mark.slow("front ends with keys")


def get(front: Front, path: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{front.base}{path}", headers=headers, trust_env=False)


@pytest.mark.long("front ends with keys")
def test_a_key_asks_for_as_many_new_families_as_it_may(make_front: object) -> None:
    front: Front = make_front(  # type: ignore[operator]
        BOOMERANG_API_KEYS="admin:all", BOOMERANG_FAMILIES_PER_DAY="2"
    )
    made: tuple[Key, str] = front.catalog.create_key("ci", "build")
    more, written = front.catalog.create_key("more", "build", quotas={"families_per_day": 3})

    until = time.monotonic() + 60
    while {get(front, "/usage", key).status_code for key in (made[1], written)} != {200}:
        assert time.monotonic() < until
        time.sleep(0.2)

    def ask(seed: int, key: str = made[1]) -> httpx.Response:
        recipe = {**FIELDS, "steps": 100 + seed}
        body = {"teacher": "teacher", "data": "texts", "order": "last", "recipe": recipe}
        return httpx.post(
            f"{front.base}/families", json=body, trust_env=False, timeout=60,
            headers={"Authorization": f"Bearer {key}"},
        )  # fmt: skip

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert sorted(one.status_code for one in answers) == [202, 202, 429, 429, 429, 429]
    refused = next(one for one in answers if one.status_code == 429)
    problem(refused, 429, "quota")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    again = next(i for i, one in enumerate(answers) if one.status_code == 202)
    assert ask(again).status_code == 202, "the same request is the same family"
    assert [ask(seed, written).status_code for seed in range(10, 14)] == [202, 202, 202, 429]
    assert all(ask(seed, "all").status_code == 202 for seed in range(20, 23))

    mine = get(front, "/usage", made[1]).json()
    assert (mine["key"], mine["today"]["families"]) == ("ci", 2)
    assert mine["allowance"]["families_per_day"] == 2
    assert mine["days"] == [mine["today"]]
    problem(get(front, "/usage?key=more", made[1]), 403, "scope")
    front.catalog.charge_device(more.id, 5400.0, over=True)
    for name in ("more", more.id):
        other = get(front, f"/usage?key={name}", "all").json()
        assert other["allowance"]["families_per_day"] == 3
        assert other["today"]["device_hours"] == 1.5
    own = get(front, "/usage", "all").json()
    assert not any(own["allowance"].values())
    id_ = hashlib.sha256(b"all").hexdigest()[:12]
    assert get(front, f"/usage?key={id_}", "all").json()["today"]["families"] == 3
    problem(get(front, "/usage?key=nobody", "all"), 404, "key-not-found")
    with Service(front.base, made[1]) as service:
        shown = view(service.get("/usage"))
    assert [[*column.cells][:2] for column in shown.columns][1] == ["2", "2"]


def test_nobody_has_limits_where_no_keys_are_needed(make_front: object) -> None:
    front: Front = make_front(  # type: ignore[operator]
        BOOMERANG_REQUESTS_PER_SECOND="0.01", BOOMERANG_REQUESTS_BURST="1"
    )
    found = front.client.get("/usage").json()
    assert found["key"] is None
    assert not any(found["allowance"].values())
    assert all(front.client.get("/families").status_code == 200 for _ in range(5))
