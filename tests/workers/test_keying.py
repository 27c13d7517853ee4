"""Hashing behind requests: shared, told of, ended early, and done again where files change."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Event, Keying, StudentState
from boomerang.checkpoint.folders import sha256_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import HubUnreachable
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.pipeline import ask, take
from boomerang.service.jobs import Distill, KeyFamily, Measure
from boomerang.service.models import digests
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from tests.workers.conftest import KEPT, LAYERS, Backend, wait_for, write_model
from workers import keying
from workers.context import Context

NAMES = ("config.json", "model.safetensors", "train.txt", "calibration.txt", "heldout.txt")


@pytest.fixture
def context(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """Models that count as large: whatever is not known has to be hashed by a worker."""
    monkeypatch.setattr(take, "__defaults__", (0,))
    monkeypatch.setattr(keying, "SHARED", 0)
    models = tmp_path / "models"
    write_model(models / "teacher", LAYERS, seed=1)
    write_model(models / "student", len(KEPT), seed=2)
    kept = {"copied_teacher_layers": list(KEPT), "pruned_teacher_layers": [1]}
    (models / "student" / "student_config.json").write_text(json.dumps(kept))
    (models / "texts").mkdir()
    for split in ("train", "calibration", "heldout"):
        (models / "texts" / f"{split}.txt").write_text(f"in the beginning of {split}")
    settings = Settings(
        home=tmp_path / "home", models=models, database_url=url, recipe="smoke", lease_seconds=1.5
    )
    opened = Context(settings, Catalog(settings.database_url), Outbox())
    yield opened
    opened.catalog.close()


def asked(context: Context, **body: Any) -> str:
    request = FamilyRequest.model_validate({"teacher": "teacher", "order": "last"} | body)
    return ask(context.settings, context.catalog, context.producer, request)[0]


def sent(context: Context, kind: type) -> list[Any]:
    return [job for job in context.producer.sent if isinstance(job, kind)]  # type: ignore[attr-defined]


def events(context: Context, family: str, kind: str) -> list[Event]:
    return [event for event in context.catalog.events_after(0, family) if event.kind == kind]


@contextmanager
def hashed(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[FileSource], object] = lambda source: None
) -> Iterator[list[str]]:
    """The names of the files that are hashed; `before` is called with each."""
    names: list[str] = []

    def hash_it(source: FileSource, told: Callable[[int], object] | None = None) -> str:
        names.append(source.name)
        before(source)
        return sha256_of(source, told)

    with monkeypatch.context() as patched:
        patched.setattr(digests, "sha256_of", hash_it)
        yield names


def test_each_file_is_hashed_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = asked(context, data="texts"), asked(context, data="texts", order="first")
    given = asked(context, student="student")
    assert sent(context, KeyFamily) == [KeyFamily(family=f) for f in (first, second, given)]
    with hashed(monkeypatch) as names:
        assert keying.key(context, first) == "keyed"
        assert sorted(names) == sorted(NAMES)
        # Those that wait as well are told: what they need may be known by now.
        assert {job.family for job in sent(context, KeyFamily)[3:]} == {second, given}
        assert keying.key(context, second) == "keyed"
        assert sorted(names) == sorted(NAMES)
        assert keying.key(context, given) == "keyed"
        assert len(names) == len(NAMES) + 3
    assert len(context.catalog.families()) == 3
    assert len(sent(context, Distill)) == 1
    assert len(sent(context, Measure)) == 1
    told = events(context, first, "hashing")
    assert told[0].payload["done"] == 0
    assert told[0].payload["total"] == sum(
        (context.settings.models / folder / name).stat().st_size  # type: ignore[operator]
        for folder in ("teacher", "texts")
        for name in NAMES
        if (context.settings.models / folder / name).exists()  # type: ignore[operator]
    )


def test_what_another_worker_hashes_is_left_to_it(context: Context) -> None:
    assert context.settings.models is not None
    weights = FileSource.of(context.settings.models / "teacher" / "model.safetensors")
    id_ = asked(context, student="student")
    lease = context.catalog.lease_acquire(keying._subject(weights), "another", 60)
    assert lease is not None
    assert keying.key(context, id_) == "waiting"
    waiting = context.catalog.waiting(id_)
    assert waiting is not None
    assert waiting.reason == "another worker hashes its files"
    assert len(sent(context, KeyFamily)) == 1
    # Nobody sends it too early, and the reaper does in any case.
    assert context.catalog.reap(60, 3) == ()
    assert [due.subject for due in context.catalog.reap(0, 3)] == [id_]
    context.catalog.lease_release(lease)
    assert keying.key(context, id_) == "keyed"


def test_files_that_change_are_hashed_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.settings.models is not None
    folder, left = context.settings.models / "teacher", [1]
    id_ = asked(context, data="texts")

    def change(source: FileSource) -> None:
        if source.name == "model.safetensors" and left:
            left.pop()
            shutil.rmtree(folder)
            write_model(folder, LAYERS, seed=3)

    with hashed(monkeypatch, change) as names:
        assert keying.key(context, id_) == "keyed"
    assert names.count("model.safetensors") == 2
    reasons = [event.payload["reason"] for event in events(context, id_, "hashing")]
    assert any("model.safetensors is not the file" in str(reason) for reason in reasons)
    (family,) = context.catalog.families()
    request = FamilyRequest.model_validate(family.request)
    now = take(context.settings, context.catalog, request, at_once=1 << 40).records
    assert now.family.id == family.id == context.catalog.family_id(id_)


def test_files_that_never_hold_still_end_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.settings.models is not None
    id_ = asked(context, data="texts")
    ticks = iter(range(1, 100))

    def touch(source: FileSource) -> None:
        os.utime(source.path, ns=(0, next(ticks)))

    with hashed(monkeypatch, touch):
        assert keying.key(context, id_) == "failed"
    waiting = context.catalog.waiting(id_)
    assert waiting is not None
    assert waiting.state is Keying.FAILED
    assert "changed 5 times" in str(waiting.reason)
    assert events(context, id_, "student")[-1].payload["state"] == "failed"
    # Asked again, it is another one of other files; that one too is made.
    assert keying.key(context, asked(context, data="texts")) == "keyed"


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_given_up_while_it_is_hashed_nothing_is_made(
    context: Context, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    id_ = asked(context, data="texts")
    end = context.catalog.give_up if how == "cancelled" else context.catalog.forget_waiting

    def give_up(source: FileSource) -> None:
        if source.name == "model.safetensors":
            assert end(id_)

    with hashed(monkeypatch, give_up):
        assert keying.key(context, id_) == "ended"
    assert context.catalog.families() == context.catalog.students() == ()
    waiting = context.catalog.waiting(id_)
    assert (waiting is None) == (how == "deleted")


def test_the_hashing_ends_at_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = asked(context, data="texts")

    def stop(source: FileSource) -> None:
        context.stopping.set()
        wait_for(lambda: ended)

    ended: list[int] = []
    monkeypatch.setattr(
        keying.Holding, "_finish", _noting(keying.Holding._finish, lambda: ended.append(1))
    )
    with hashed(monkeypatch, stop) as names:
        assert keying.key(context, id_) == "ended"
    assert len(names) == 1
    # A worker that was stopped leaves it to the next one, without a loss.
    context.stopping.clear()
    assert [due.subject for due in context.catalog.reap(60, 3)] == [id_]
    assert keying.key(context, id_) == "keyed"


def _noting(method: Callable[..., Any], note: Callable[[], object]) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        method(*arguments)
        note()

    return noted


def test_what_is_asked_meanwhile_is_done_too(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = asked(context, data="texts", budget="1M")
    before = context.catalog.key_family
    more: list[str] = []

    def late(*arguments: Any, **options: Any) -> Any:
        if not more:
            more.append(asked_with_signatures(context))
        return before(*arguments, **options)

    monkeypatch.setattr(context.catalog, "key_family", late)
    assert keying.key(context, id_) == "keyed"
    assert more == [id_]
    (family,) = context.catalog.families()
    assert [request.what for request in context.catalog.requests(family.id)] == ["1M", "2M"]


def asked_with_signatures(context: Context) -> str:
    """A request whose files were looked at just before the worker had hashed them."""
    waiting = context.catalog.all_waiting()[0]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(context.catalog, "known_hashes", lambda sources: {})
        return asked(context, **{**waiting.asked[0], "budget": "2M"})


def test_a_request_that_became_wrong_fails_with_the_reason(context: Context) -> None:
    id_ = asked(context, student="student")
    assert context.settings.models is not None
    config = context.settings.models / "student" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_size": 9}))
    assert keying.key(context, id_) == "failed"
    waiting = context.catalog.waiting(id_)
    assert waiting is not None
    assert "hidden_size" in str(waiting.reason)


def test_a_hub_that_is_away_is_waited_for(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = asked(context, data="texts")

    def away(*arguments: object, **options: object) -> None:
        raise HubUnreachable("The Hub did not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(keying, "take", away)
        assert keying.key(context, id_) == "later"
    waiting = context.catalog.waiting(id_)
    assert waiting is not None
    assert waiting.state is Keying.HASHING
    assert "did not answer; again in 1 s" in str(waiting.reason)
    wait_for(lambda: [due.subject for due in context.catalog.reap(0, 3)] == [id_])
    assert keying.key(context, id_) == "keyed"


def test_a_worker_hashes_and_the_family_is_distilled(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.worker()
    (backend.models / "texts.txt").write_text("in the beginning")
    monkeypatch.setattr(take, "__defaults__", (0,))
    request = FamilyRequest.model_validate(
        {"teacher": "teacher", "student": "student", "order": "last", "data": "texts.txt"}
    )
    id_, plan = ask(backend.settings, backend.catalog, backend.producer, request)
    assert plan.unhashed
    wait_for(lambda: backend.catalog.family_id(id_) != id_)
    (family,) = backend.catalog.families()
    student = backend.catalog.student(family.student)
    assert student.state is StudentState.READY
    wait_for(lambda: backend.catalog.family(family.id).chosen == "last")
