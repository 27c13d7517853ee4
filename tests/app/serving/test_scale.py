"""What many families, many events and many open pages cost: as many questions as one of each."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from app.context import EventWatch
from app.main import create_app
from app.serving.catalog_cache import CatalogCache, Snapshot
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewFamily, NewMember, NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import NewStudent
from boomerang.service.settings import Settings


def member(k: int) -> NewMember:
    return NewMember(
        k=k, size=f"1.{k}M", code="s", digest=f"{k:040}", parameters=1000 + k, bytes=4000, layers=3
    )


def grow(catalog: Catalog, start: int, stop: int) -> list[str]:
    made = []
    for i in range(start, stop):
        key = f"{i:032}"
        student = NewStudent(
            key=key, teacher=f"org/T{i}", teacher_commit="c", kept=(0, 2), layers=3
        )
        family = NewFamily(
            name=f"T{i}", teacher=f"org/T{i}", revision=None, commit="c", source=None,
            student=key, order="last",
        )  # fmt: skip
        requests = [NewRequest(kind="build", what="*")]
        created = catalog.create_family(family, student, [member(0), member(1)], requests)
        made.append(created.family.id)
    return made


@contextmanager
def counted(catalog: Catalog) -> Iterator[list[str]]:
    """The questions that are asked of a catalog meanwhile, but for which keys there are.

    That is asked now and then, whatever comes.
    """
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        of_keys = any(f"FROM {table}" in statement for table in ("keys", "ended_sessions"))
        kinds = ("SELECT", "UPDATE", "INSERT", "DELETE")
        if statement.lstrip().upper().startswith(kinds) and not of_keys:
            asked.append(statement)

    event.listen(catalog.db.engine, "before_cursor_execute", note)
    yield asked
    event.remove(catalog.db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/", "text/html"), ("/families", "*/*"), ("/models", "*/*"), ("/api/models", "*/*"),
     ("/models/9M", "application/json")],
)  # fmt: skip
def test_a_page_asks_as_much_for_many_families_as_for_few(
    path: str, accept: str, tmp_path: Path, url: str
) -> None:
    redis = "redis://127.0.0.1:1/0"
    app = create_app(Settings(home=tmp_path, database_url=url, redis_url=redis))
    counts = []
    with TestClient(app, base_url="http://127.0.0.1", headers={"Accept": accept}) as client:
        catalog = app.state.context.catalog
        for start, stop in ((0, 2), (2, 12)):
            grow(catalog, start, stop)
            tries = []
            for _ in range(3):
                # As after a start, when nothing is known.
                app.state.context.cache._snapshot = Snapshot(catalog, -1)
                with counted(catalog) as asked:
                    answer = client.get(path)
                assert answer.status_code in (200, 300), answer.text
                tries.append(len(asked))
            # What a front end asks by itself now and then may come between.
            counts.append(min(tries))
    assert counts[0] == counts[1] <= 10


def test_what_nothing_happened_to_is_not_read_again(url: str) -> None:
    catalog = Catalog(url)
    ids = grow(catalog, 0, 8)
    cache = CatalogCache(catalog)
    snapshot = cache.now()
    before = snapshot.ladders(), snapshot.names(), [snapshot.student(f"{i:032}") for i in range(8)]
    catalog.set_student_state(f"{3:032}", StudentState.DISTILLING)
    snapshot = cache.now()
    assert snapshot.student(f"{3:032}").state is StudentState.DISTILLING
    # Steps change nothing that is kept here.
    for step in range(5):
        catalog.student_progress(f"{3:032}", {"step": step})
    snapshot.ladders(), snapshot.names(), snapshot.families()
    with counted(catalog) as asked:
        snapshot = cache.now()
        assert snapshot.ladders() == before[0]
        snapshot.names(), snapshot.families(), snapshot.student(f"{3:032}")
    assert len(asked) == 2
    with counted(catalog) as asked:
        assert cache.now() is snapshot
    assert len(asked) == 1
    # One family changed: one ladder is read, and who there is.
    catalog.set_fact(ids[5], 0, "measured", Fact.YES, perplexity=7.0)
    with counted(catalog) as asked:
        snapshot = cache.now()
        assert snapshot.ladders()[ids[5]][0].perplexity == 7.0
    assert len(asked) == 4
    catalog.delete_family(ids[0])
    snapshot = cache.now()
    assert ids[0] not in snapshot.ladders()
    assert ids[0] not in snapshot.names()
    catalog.close()


def test_all_who_listen_ask_once(url: str) -> None:
    catalog = Catalog(url)
    grow(catalog, 0, 1)

    async def listen() -> list[int]:
        watch = EventWatch(catalog)
        seen = await watch.after(-1)
        waiting = [asyncio.create_task(watch.after(seen)) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        grow(catalog, 1, 2)
        return list(await asyncio.gather(*waiting[1:]))

    # A browser's tests leave a loop running in their thread.
    with counted(catalog) as asked, ThreadPoolExecutor(1) as pool:
        newest = pool.submit(asyncio.run, listen()).result()
    assert set(newest) == {catalog.last_event()}
    assert sum("max(events.id)" in statement for statement in asked) <= 4
    catalog.close()


def test_old_steps_are_forgotten_and_states_are_not(url: str) -> None:
    from sqlalchemy import update

    from boomerang.catalog.tables import EventRow

    catalog = Catalog(url)
    kept, gone = grow(catalog, 0, 2)
    for step in range(3):
        catalog.student_progress(f"{0:032}", {"step": step})
    catalog.delete_family(gone)
    with catalog.db.write() as session:
        session.execute(update(EventRow).values(time=EventRow.time - 3 * 86400))
    catalog.student_progress(f"{0:032}", {"step": 3})
    newest = catalog.last_event()
    assert catalog.prune_events(4) == 0
    assert catalog.prune_events(2) > 3
    left = catalog.events_after(0)
    assert [e.payload["step"] for e in left if e.kind == "progress"] == [3]
    assert {e.family for e in left} == {kept, None}
    assert {(e.kind, e.payload.get("state")) for e in catalog.events_after(0, kept)} >= {
        ("family", "created"), ("student", "queued"), ("want", "no"),
    }  # fmt: skip
    assert catalog.last_event() == newest
    assert catalog.prune_events(1e-9) == 0
    catalog.student_progress(f"{0:032}", {"step": 4})
    assert catalog.last_event() == newest + 1
    catalog.close()
