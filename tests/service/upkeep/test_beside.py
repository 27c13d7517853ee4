"""A service that fetches teachers by the workers' own code, beside what takes them away."""

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.service.settings import Settings
from boomerang.service.upkeep import collecting
from tests.catalog.conftest import new_family, new_student
from tests.support.outbox import Outbox
from workers.context import Context
from workers.leases import holding
from workers.models import folders

FAMILIES = 20
TEACHERS = 2
WORDS = b"weights of a teacher"


def fetched(
    repo: str, commit: str, folder: Path, *, hashed: Callable[[str, str], object], **_: object
) -> Path:
    """A fetch as that of the Hub goes: into a part, which is renamed."""
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(exist_ok=True)
    (part / "model.safetensors").write_bytes(WORDS)
    time.sleep(0.002)
    part.rename(folder)
    hashed("model.safetensors", "f" * 64)
    return folder


@pytest.mark.long("threads beside each other; that no change can come between is tested by itself")
def test_a_teacher_that_is_needed_is_there_whatever_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the catalog says what is needed: no grace, and nobody sees what is open.
    monkeypatch.setattr(folders.fetch, "fetch", fetched)
    monkeypatch.setattr(collecting, "open_paths", frozenset)
    settings = Settings(home=tmp_path)
    catalog = Catalog(settings.database_url)
    context = Context(settings, catalog, Outbox())  # type: ignore[arg-type]
    over, lost, went = threading.Event(), list[BaseException](), list[str]()

    def serve(lane: int) -> None:
        draw = random.Random(lane)
        for number in range(FAMILIES):
            key, commit = f"{lane:016x}{number:016x}", f"{draw.randrange(TEACHERS):040x}"
            made = catalog.create_family(
                new_family(key, commit=commit, teacher=f"org/{key}"),
                new_student(key, teacher_commit=commit), (), (),
            )  # fmt: skip
            with holding(context, f"student:{key}") as held:
                assert held is not None
                catalog.set_student_state(key, StudentState.DISTILLING, lease=held.lease)
                teacher = folders.fetch_teacher(context, made.student, held)
                for _ in range(draw.randrange(4)):
                    assert (teacher / "model.safetensors").read_bytes() == WORDS
                    time.sleep(0.001)
                catalog.set_student_state(key, StudentState.READY, lease=held.lease)
            # Whoever measures reads it again, as long as there is a family.
            assert (teacher / "model.safetensors").read_bytes() == WORDS
            catalog.set_measuring(made.family.id, Fact.RUNNING)
            catalog.delete_family(made.family.id)

    def watched(lane: int) -> None:
        try:
            serve(lane)
        except BaseException as error:
            lost.append(error)

    def collect() -> None:
        while not over.is_set():
            done = collecting.collect(settings, catalog, grace_hours=0.0)
            went.extend(one.name for one in done.removed)

    lanes = [threading.Thread(target=watched, args=(lane,)) for lane in range(2)]
    collector = threading.Thread(target=collect)
    for thread in (*lanes, collector):
        thread.start()
    for thread in lanes:
        thread.join(200)
    over.set()
    collector.join(60)
    assert lost == []
    # It was in each other's way, and nothing is left of it.
    assert any(name.startswith("teachers/0") for name in went)
    left = collecting.collect(settings, catalog, grace_hours=0.0)
    assert [one.why for one in left.kept] == []
    shutil.rmtree(tmp_path / "teachers", ignore_errors=True)
    catalog.close()
