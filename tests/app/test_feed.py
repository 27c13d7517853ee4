"""What all who listen to everything are given: each change at once, steps once a second."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.feed import Feed, Told
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front
from tests.app.serving.test_scale import counted, grow

KEY = f"{0:032}"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    grow(opened, 0, 1)
    opened.set_student_state(KEY, StudentState.DISTILLING)
    yield opened
    opened.close()


def run(work: Callable[[], Any]) -> Any:
    # A browser's tests leave a loop running in their thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def test_steps_come_once_a_second_and_states_at_once(catalog: Catalog) -> None:
    async def listen() -> list[tuple[float, Told]]:
        feed, heard = Feed(catalog, lambda found: found), []
        at = catalog.last_event()
        begun = time.monotonic()

        async def steps() -> None:
            for step in range(100):
                await asyncio.to_thread(catalog.student_progress, KEY, {"step": step})
                await asyncio.sleep(0.02)
            await asyncio.to_thread(catalog.set_student_state, KEY, StudentState.READY)

        writing = asyncio.create_task(steps())
        while not heard or heard[-1][1].kind != "student":
            for told in await feed.after(at):
                at = told.id
                heard.append((time.monotonic() - begun, told))
        await writing
        return heard

    heard = run(listen)
    told = [one for _, one in heard]
    assert [one.id for one in told] == sorted({one.id for one in told})
    shown = [json.loads(one.data)["step"] for one in told if one.kind == "progress"]
    assert 2 <= len(shown) <= 2 + heard[-1][0]
    # The newest goes before the state that ends it.
    assert shown[-1] == 99
    assert json.loads(told[-1].data)["state"] == "ready"


def test_ten_who_listen_ask_the_catalog_as_one(catalog: Catalog) -> None:
    async def listen(how_many: int) -> int:
        feed, at = Feed(catalog, lambda found: found), catalog.last_event()
        with counted(catalog) as asked:
            waiting = [asyncio.create_task(feed.after(at)) for _ in range(how_many)]
            await asyncio.sleep(0.1)
            waiting[0].cancel()
            await asyncio.to_thread(grow, catalog, 1 + how_many, 2 + how_many)
            found = await asyncio.gather(*waiting[1:])
            assert len(set(found)) == 1
            return sum(statement.startswith("SELECT") and "events" in statement
                       for statement in asked)  # fmt: skip

    few, many = run(lambda: listen(2)), run(lambda: listen(20))
    assert many <= few + 1


def test_who_was_away_is_given_what_was_missed(catalog: Catalog) -> None:
    async def listen() -> None:
        feed, first = Feed(catalog, lambda found: found), catalog.last_event()
        for step in range(5):
            catalog.student_progress(KEY, {"step": step})
        catalog.set_student_state(KEY, StudentState.READY)
        found = await feed.after(first)
        if len(found) < 2:  # it had been told of before it was asked
            found += await feed.after(found[-1].id)
        assert [told.kind for told in found] == ["progress", "student"]
        assert json.loads(found[0].data)["step"] == 4
        # Everything before is forgotten; an id from before that is no reason to ask for ever.
        catalog.prune_events(1e-9)
        with counted(catalog) as asked, pytest.raises(TimeoutError):
            await asyncio.wait_for(feed.after(found[-1].id), 1)
        assert len(asked) < 10

    run(listen)


def test_a_page_hears_of_kinds_that_have_no_name(front: Front) -> None:
    with front.client.stream("GET", "/events?named=false&after=0", timeout=15) as answer:
        front.queued()
        lines = []
        for line in answer.iter_lines():
            lines.append(line)
            if line.startswith("data: "):
                break
    assert not [line for line in lines if line.startswith("event:")]
    assert json.loads(lines[-1].removeprefix("data: "))["event"] in ("student", "family")
