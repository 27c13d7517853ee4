"""Distillations through a real queue and real workers, with a trainer that only pretends."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.checkpoint.table import Checkpoint
from boomerang.service.jobs import Distill
from boomerang.service.models.pairs import folder_commit
from boomerang.texts.texts import Texts
from tests.workers.conftest import Backend, alive, on_both, wait_for

pytestmark = pytest.mark.slow("real workers with real trainers, in processes of their own")

KEY = "a" * 32


def is_(backend: Backend, state: StudentState) -> bool:
    return backend.catalog.student(KEY).state is state


@on_both
def test_from_request_to_members_on_disk(backend: Backend) -> None:
    backend.worker()
    made = backend.ask("quick", requests=(NewRequest(kind="build", what="*"),))
    wait_for(lambda: backend.catalog.requests(made.family.id)[0].state is Fact.YES, 40)
    assert [state for state, _ in backend.states()] == ["queued", "distilling", "ready"]
    student, teacher = backend.catalog.members(made.family.id)
    assert (student.built, teacher.built) == (Fact.YES, Fact.YES)
    assert (student.measured, teacher.k, student.layers, teacher.layers) == (Fact.NO, 1, 3, 4)
    weights = backend.settings.member_folder(teacher.digest) / "model.safetensors"
    assert weights.stat().st_size > teacher.bytes > 0
    assert sorted(p.name for p in backend.settings.members.iterdir()) == sorted(
        [student.digest, teacher.digest]
    )
    found = backend.catalog.student(KEY)
    assert (found.step, found.steps, found.loss) == (4, 4, 0.25)
    kinds = [event.kind for event in backend.catalog.events_after(0, made.family.id)]
    assert "progress" in kinds
    assert "checkpoint" in kinds
    # Asked again, it is verified and nothing is done; a damaged one is made again.
    backend.producer.start(backend.catalog.rebuild(made.family.id))
    wait_for(lambda: "verified" in [event.kind for event in backend.catalog.events_after(0)])
    assert len(backend.trainers()) == 1
    (backend.settings.student_folder(KEY) / "model.safetensors").unlink()
    backend.producer.start(backend.catalog.rebuild(made.family.id))
    wait_for(lambda: len(backend.trainers()) == 2 and is_(backend, StudentState.READY))
    # Deleted, its members leave the disk.
    backend.producer.sweep(backend.catalog.delete_family(made.family.id))
    wait_for(lambda: not list(backend.settings.members.iterdir()))


@pytest.mark.long("real workers with real trainers, in processes of their own")
def test_order_and_measures_are_kept(backend: Backend) -> None:
    backend.worker()
    made = backend.ask("quick", order="auto", data=str(backend.models))
    wait_for(lambda: backend.catalog.family(made.family.id).measuring is Fact.YES)
    family = backend.catalog.family(made.family.id)
    assert (family.chosen, family.patch_order) == ("klpatch", (0,))
    small, large = backend.catalog.members(family.id)
    assert (small.perplexity, large.perplexity, small.naive_kl) == (9.0, 8.0, 3.0)
    assert (small.agreement, large.agreement, small.by_position) == (0.5, 1.0, (9.5, None))
    assert small.errors == {"perplexity": 0.25, "kl": None, "windows": 4, "tokens": 1024}
    assert (small.measured, small.built) == (Fact.YES, Fact.NO)


@pytest.mark.long("real workers with real trainers, in processes of their own")
def test_a_trainer_that_fails_or_is_killed_fails_the_student_and_not_the_worker(
    backend: Backend,
) -> None:
    worker = backend.worker()
    backend.ask("error", key="e" * 32)
    backend.ask("die", key="d" * 32)
    wait_for(lambda: all(s.state is StudentState.FAILED for s in backend.catalog.students()))
    assert backend.states("e" * 32)[-1] == ("failed", "No text. Give some.")
    assert "SIGKILL" in str(backend.states("d" * 32)[-1][1])
    assert worker.pid is not None
    assert alive(worker.pid)
    backend.ask("quick")
    wait_for(lambda: is_(backend, StudentState.READY))


@pytest.mark.long("real workers with real trainers, in processes of their own")
@on_both
def test_killed_worker_takes_its_trainer_along_and_another_finishes(backend: Backend) -> None:
    first = backend.worker("first")
    backend.ask("stuck")
    wait_for(lambda: is_(backend, StudentState.DISTILLING) and backend.trainers())
    (trainer,) = backend.trainers()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: not alive(trainer), 5)
    backend.worker("second")
    wait_for(lambda: is_(backend, StudentState.READY))
    assert ("queued", "its worker was lost; again in 1 s") in backend.states()
    assert len(backend.trainers()) == 2


def test_cancel_ends_the_trainer(backend: Backend) -> None:
    backend.worker()
    made = backend.ask("slow")
    wait_for(lambda: backend.catalog.student(KEY).step > 1)
    started = time.monotonic()
    assert backend.catalog.cancel(made.family.id).cancel
    wait_for(lambda: is_(backend, StudentState.CANCELLED))
    assert time.monotonic() - started < 4
    assert not [pid for pid in backend.trainers() if alive(pid)]
    assert backend.states()[-1] == ("cancelled", "cancelled on request")


@pytest.mark.long("real workers with real trainers, in processes of their own")
def test_stopping_a_worker_gives_its_job_back_within_seconds(backend: Backend) -> None:
    worker = backend.worker("first")
    backend.ask("stuck")
    wait_for(lambda: backend.catalog.student(KEY).step > 1)
    started = time.monotonic()
    worker.stop()
    assert time.monotonic() - started < 6
    assert not [pid for pid in backend.trainers() if alive(pid)]
    assert backend.states()[-1] == ("queued", "the worker was stopped")
    backend.worker("second")
    wait_for(lambda: is_(backend, StudentState.READY))


@pytest.mark.long("real workers with real trainers, in processes of their own")
@on_both
def test_a_duplicate_and_a_message_that_was_lost(backend: Backend) -> None:
    backend.worker()
    for _ in range(3):
        backend.producer.send(Distill(key=KEY))
    made = backend.ask("quick")
    backend.producer.start(made)
    wait_for(lambda: is_(backend, StudentState.READY))
    assert len(backend.trainers()) == 1
    # Never sent: only the catalog knows of it.
    backend.producer = type(backend.producer)("redis://127.0.0.1:1")
    backend.ask("quick", key="b" * 32)
    backend.catalog.expect_resend()
    wait_for(lambda: backend.catalog.student("b" * 32).state is StudentState.READY)


@pytest.mark.long("real workers with real trainers, in processes of their own")
def test_a_teacher_that_changed_since_the_request_is_not_distilled(backend: Backend) -> None:
    made = backend.ask("quick")
    with (backend.models / "teacher" / "config.json").open("a") as config:
        config.write("\n")
    backend.worker()
    wait_for(lambda: backend.catalog.student(KEY).state.over)
    state, reason = backend.states()[-1]
    assert (state, backend.trainers()) == ("failed", [])
    assert "holds other files" in str(reason)
    assert not backend.settings.student_folder(made.student.key).exists()


@pytest.mark.long("real workers with real trainers, in processes of their own")
def test_a_text_that_changed_since_the_request_is_not_trained_on(backend: Backend) -> None:
    text = backend.models / "text.jsonl"
    text.write_text('{"text": "one"}\n')
    digest = Texts.open(text).digest
    text.write_text('{"text": "another"}\n')
    backend.ask("quick", data=str(text), data_digest=digest)
    backend.worker()
    wait_for(lambda: backend.catalog.student(KEY).state.over)
    state, reason = backend.states()[-1]
    assert (state, backend.trainers()) == ("failed", [])
    assert "text.jsonl" in str(reason)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Backend]:
    """A back end with the trainer that trains."""
    opened = Backend(tmp_path, trainer=())
    yield opened
    opened.close()


@pytest.mark.long("a base is distilled first, by real workers")
def test_a_fine_tunes_student_is_made_of_its_bases_without_training(real: Backend) -> None:
    real.worker()
    base = folder_commit(real.catalog, Checkpoint.open(real.models / "teacher"))
    # As a worker leaves it that dies before it says so: there, and found.
    shutil.copytree(real.models / "student", real.settings.student_folder("b" * 32))
    real.ask("none", key="b" * 32)
    wait_for(lambda: real.catalog.student("b" * 32).state is StudentState.READY, 60)
    asked = {"base": "teacher", "base_commit": base, "base_student": "b" * 32, "reference": None}
    # The fine-tune is the base itself here: its student must be the base's.
    real.ask("none", recipe={"delta": asked})
    wait_for(lambda: real.catalog.student(KEY).state.over, 60)
    assert [state for state, _ in real.states()] == ["queued", "distilling", "ready"]
    made = load_file(real.settings.student_folder(KEY) / "model.safetensors")
    given = load_file(real.models / "student" / "model.safetensors")
    assert all(np.allclose(made[name], given[name], atol=1e-6) for name in given)
    (note,) = [e for e in real.catalog.events_after(0) if e.kind == "delta"]
    assert (note.student, note.payload["drift"], note.payload["cosine"]) == (KEY, 0.0, None)
    # Where the base's student has gone, the reason is said.
    real.catalog.set_student_state("b" * 32, StudentState.FAILED)
    real.ask("none", key="c" * 32, recipe={"delta": asked})
    wait_for(lambda: real.catalog.student("c" * 32).state.over, 60)
    state, reason = real.states("c" * 32)[-1]
    assert (state, "is failed" in str(reason)) == ("failed", True)
