"""A question is answered word by word by a child that is kept, and by nobody else."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import StudentState
from boomerang.errors import NoPlayer, PlayBusy, PlayOff
from boomerang.family.order_forms import named_order
from boomerang.service.jobs import Play
from boomerang.service.models import pairs
from boomerang.service.models.members import ladder_members
from boomerang.service.playing import store
from boomerang.service.playing.answering import connect
from boomerang.service.playing.asked import Question
from boomerang.service.playing.asking import MOST_WAITING, Asker
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from tests.workers.conftest import HERE, Backend, alive, wait_for

pytestmark = pytest.mark.slow("a queue and a worker as processes")

FAKE = (sys.executable, str(HERE / "play/fake_player.py"))
Events = list[dict[str, Any]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    made: list[Backend] = []

    def make(**settings: Any) -> Backend:
        made.append(Backend(tmp_path, **{"play": True, "player": FAKE} | settings))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def ready(backend: Backend, key: str = "a" * 32, **student: Any) -> Family:
    """A family whose student was given, and is ready."""
    made = backend.ask("ok", key=key, **student | given(backend))
    family = backend.catalog.family(made.family.id)
    pair = pairs.open_pair(backend.settings, backend.catalog, backend.catalog.student(key))
    order = named_order(pair.layermap, "last")
    assert order is not None
    members = ladder_members(pair, order, family.commit, key)
    backend.catalog.set_members(family.id, members, patch_order=order, chosen="last")
    return family


def given(backend: Backend) -> dict[str, Any]:
    from boomerang.catalog.records.students import Origin
    from boomerang.checkpoint.table import Checkpoint

    folder = backend.models / "student"
    commit = pairs.folder_commit(backend.catalog, Checkpoint.open(folder))
    return {"origin": Origin.FOLDER, "location": str(folder), "revision_commit": commit}


def players(backend: Backend) -> list[int]:
    path = backend.models / "players"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


async def asked(
    backend: Backend, family: str, k: int = 0, leave_after: int | None = None,
    settings: Settings | None = None, **question: Any,
) -> Events:  # fmt: skip
    asker = Asker(settings or backend.settings, backend.producer)
    found: Events = []
    try:
        asking = await asker.ask(family, k, Question(**{"max_tokens": 4} | question))
        events = asking.events()
        async for event in events:
            found.append(event)
            if leave_after is not None and len(found) >= leave_after:
                break
        await events.aclose()  # type: ignore[attr-defined]
    finally:
        await asker.close()
    return found


def ask(*of: Any, **question: Any) -> Events:
    return asyncio.run(asked(*of, **question))


def words(events: Events) -> str:
    return "".join(event["text"] for event in events if event["event"] == "text").strip()


def test_a_question_is_answered_and_its_pair_is_kept(make: Callable[..., Backend]) -> None:
    backend = make(play_idle=3.0)
    family = ready(backend)
    backend.worker("play", ("play",))
    first = ask(backend, family.id, prompt="one two three")
    assert words(first) == "one two three one"
    kinds = [event["event"] for event in first if event["event"] not in ("waiting", "text")]
    assert kinds == ["loading", "begun", "done"]
    assert first[-1]["completion_tokens"] == 4
    second = ask(backend, family.id, 1, messages=[{"role": "user", "content": "again"}])
    assert words(second) == "again again again again"
    assert "loading" not in [event["event"] for event in second]
    [player] = players(backend)
    assert alive(player)
    # Nobody asks any more.
    wait_for(lambda: not alive(player))
    assert words(ask(backend, family.id, prompt="new")) == "new new new new"
    [_, player] = players(backend)
    started = time.monotonic()
    backend.children[-1].stop()
    wait_for(lambda: not alive(player))
    assert time.monotonic() - started < 10
    log = backend.children[-1].log.read_text()
    assert "again" not in log
    assert "three" not in log
    left = set(connect(backend.settings.redis_url).scan_iter("boomerang:play:*"))
    assert not [key for key in left if key.endswith((":ask", ":held", ":reader"))]
    assert store.WAITING not in left


@pytest.mark.long("a queue and a worker as processes")
def test_whoever_leaves_is_not_answered_and_holds_nobody_up(make: Callable[..., Backend]) -> None:
    backend = make()
    family = ready(backend)
    backend.worker("play", ("play",))
    slow = {"prompt": "slowly on", "max_tokens": 400}
    started = time.monotonic()
    assert ask(backend, family.id, leave_after=5, **slow)
    assert words(ask(backend, family.id, prompt="next")) == "next next next next"
    # 400 tokens would take 20 seconds.
    assert time.monotonic() - started < 12


@pytest.mark.long("a queue and a worker as processes")
def test_a_player_that_dies_or_refuses_says_so_and_the_next_one_is_new(
    make: Callable[..., Backend],
) -> None:
    backend = make()
    family = ready(backend)
    backend.worker("play", ("play",))
    dead = ask(backend, family.id, prompt="die now")[-1]
    assert dead["event"] == "failed"
    assert "status 7" in dead["reason"]
    refused = ask(backend, family.id, prompt="refuse this")[-1]
    assert (refused["reason"], refused["fix"]) == ("it refuses", "Ask something else.")
    assert len(players(backend)) == 2
    backend.catalog.set_student_state("a" * 32, StudentState.FAILED, "gone")
    assert "The student is failed" in ask(backend, family.id, prompt="x")[-1]["reason"]
    (backend.models / "no-player").touch()
    other = ready(backend, "b" * 32)
    assert "It has no memory" in ask(backend, other.id, prompt="x")[-1]["reason"]


@pytest.mark.long("a queue and a worker as processes")
@pytest.mark.parametrize(("how", "why"), [("stop", "was stopped"), ("kill", "was lost")])
def test_a_worker_that_ends_leaves_no_reader_and_no_child(
    make: Callable[..., Backend], how: str, why: str
) -> None:
    backend = make()
    family = ready(backend)
    worker = backend.worker("play", ("play",))
    slow = {"prompt": "slowly on", "max_tokens": 2000}
    with ThreadPoolExecutor(1) as pool:
        # So many tokens as it would take until long after.
        told = backend.settings.model_copy(update={"play_tokens": 2000})
        found = pool.submit(asyncio.run, asked(backend, family.id, settings=told, **slow))
        wait_for(lambda: players(backend))
        [player] = players(backend)
        time.sleep(1)
        if how == "stop":
            worker.stop()
        else:
            os.kill(int(worker.pid or 0), signal.SIGKILL)
        last = found.result(30)[-1]
    assert last["event"] == "failed"
    assert why in last["reason"]
    assert last["again"] is True
    wait_for(lambda: not alive(player))


def test_without_a_worker_it_is_said_at_once(make: Callable[..., Backend]) -> None:
    backend = make()
    started = time.monotonic()
    with pytest.raises(NoPlayer, match="boomerang worker --queues play"):
        ask(backend, "x" * 12, prompt="anybody")
    assert time.monotonic() - started < 2
    # One that goes while somebody waits.
    connect(backend.settings.redis_url).set(store.WORKERS, 1, ex=2)
    last = ask(backend, "x" * 12, prompt="anybody")[-1]
    assert last["event"] == "failed"
    assert "--queues play" in last["fix"]
    off = backend.settings.model_copy(update={"play": False})
    with pytest.raises(PlayOff, match="BOOMERANG_PLAY"):
        asyncio.run(Asker(off, Outbox()).ask("x", 0, Question(prompt="y")))


@pytest.mark.long("a queue and a worker as processes")
def test_the_row_is_bounded_and_those_who_left_are_not_in_it(make: Callable[..., Backend]) -> None:
    backend = make()
    client = connect(backend.settings.redis_url)
    client.set(store.WORKERS, 1, ex=60)

    async def crowd() -> None:
        asker = Asker(backend.settings, Outbox())
        for _ in range(MOST_WAITING):
            await asker.ask("x" * 12, 0, Question(prompt="y"))
        with pytest.raises(PlayBusy):
            await asker.ask("x" * 12, 0, Question(prompt="y"))
        [first, *_] = client.zrange(store.WAITING, 0, -1)
        client.delete(store.reader_key(first))
        last = await asker.ask("x" * 12, 0, Question(prompt="y"))
        events = last.events()
        assert await anext(events) == {"event": "waiting", "place": MOST_WAITING - 1}
        await events.aclose()  # type: ignore[attr-defined]
        await asker.close()

    asyncio.run(crowd())
    job = Play(id="gone", family="x" * 12, k=0)
    backend.worker("play", ("play",))
    assert backend.producer.send(job)
    wait_for(lambda: "nobody waits" in backend.children[-1].log.read_text())


@pytest.mark.long("a queue and a worker as processes")
def test_a_question_that_this_worker_does_not_know_is_refused_and_in_no_log(
    make: Callable[..., Backend],
) -> None:
    backend = make()
    client = connect(backend.settings.redis_url)
    # As a front end of another version may put it.
    client.set(store.ask_key("newer"), '{"prompt": ["my own secret"]}', ex=60)
    client.set(store.reader_key("newer"), 1, ex=60)
    worker = backend.worker("play", ("play",))
    assert backend.producer.send(Play(id="newer", family="x" * 12, k=0))
    wait_for(lambda: client.exists(store.answer_key("newer")))
    [(_, said)] = client.xrange(store.answer_key("newer"))
    assert '"failed"' in said["e"]
    assert "version" in said["e"]
    wait_for(lambda: not client.exists(store.held_key("newer")))
    assert "secret" not in worker.log.read_text()
