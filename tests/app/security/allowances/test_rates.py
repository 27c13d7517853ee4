"""Who comes too often is told when to come again, and nobody else is."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.security.allowances.rates import Rate
from tests.app.conftest import Front, problem


@given(
    per_second=st.floats(0.1, 1000.0),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0.0, 3.0), max_size=150),
)
def test_no_more_come_than_may(per_second: float, burst: int, gaps: list[float]) -> None:
    """In any time t at most the burst and t times the rate; and who waits as told, may."""
    now = 0.0
    rate = Rate(lambda: now)
    came: list[float] = []
    for gap in gaps:
        now += gap
        wait = rate.wait("one", per_second, burst)
        if wait:
            assert wait <= burst / per_second * (1 + 1e-6)
            now += wait
            assert rate.wait("one", per_second, burst) == 0.0
        came.append(now)
    for i, first in enumerate(came):
        for j, last in enumerate(came[i:], 1):
            assert j <= burst + (last - first) * per_second + 1e-3


def test_who_came_longest_ago_is_forgotten_first() -> None:
    rate = Rate(lambda: 0.0, most=2)
    for name in "abc":
        assert rate.wait(name, 1.0, 1) == 0.0
    assert rate.wait("c", 1.0, 1) == pytest.approx(1.0)
    assert rate.wait("a", 1.0, 1) == 0.0


@pytest.mark.slow("a front end is asked often")
def test_keys_and_addresses_are_told_to_wait(make_front: object) -> None:
    front: Front = make_front(  # type: ignore[operator]
        BOOMERANG_API_KEYS="admin:all,read:one,read:two",
        BOOMERANG_REQUESTS_PER_SECOND="0.01", BOOMERANG_REQUESTS_BURST="3",
    )  # fmt: skip

    def ask(path: str = "/families", key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{front.base}{path}", headers=headers, trust_env=False)

    assert [ask(key="one").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(key="one")
    problem(refused, 429, "too-many")
    assert 0 < int(refused.headers["retry-after"]) <= 100
    # Neither another key, nor who has none, pays for that; and who may do everything comes freely.
    assert ask(key="two").status_code == 200
    assert all(ask(key="all").status_code == 200 for _ in range(6))
    assert 429 in [ask().status_code for _ in range(8)]
    assert [ask("/healthz").status_code for _ in range(6)] == [200] * 6
    openai = [ask("/v1/models", "two").status_code for _ in range(3)]
    assert openai[-1] == 429
    assert ask("/v1/models", "two").json()["error"]["type"] == "rate_limit_error"
