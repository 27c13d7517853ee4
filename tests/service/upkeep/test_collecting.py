"""What nobody needs goes; a student, what is needed, and what cost time never does."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.students.leftovers import Leftover
from boomerang.errors import BadRequest
from boomerang.service.settings import Settings
from boomerang.service.upkeep import collecting
from boomerang.service.upkeep.collecting import Collected, Named, collect
from boomerang.service.upkeep.leftovers import LOG_DAYS
from tests.catalog.conftest import new_family, new_student, rungs
from tests.support.cli_stub import error, told

pytestmark = pytest.mark.slow("a home with a catalog for each")

OLD = time.time() - 7200


def key(number: int) -> str:
    return f"{number:032x}"


def commit(number: int) -> str:
    return f"{number:040x}"


class Home:
    """A home with whatever a test puts there; all of it is two hours old."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.settings = Settings(home=folder / "home", database_url=url)
        self.settings.home.mkdir(exist_ok=True)
        self.catalog = Catalog(self.settings.database_url)

    def put(self, name: str, *files: str, age: float = OLD) -> Path:
        path = self.settings.home / name
        for file in files:
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(f"{name}/{file}")
        if not files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        for one in (*path.rglob("*"), path):
            os.utime(one, (age, age))
        return path

    def family(
        self, number: int, state: StudentState | None = None, *, measured: bool = True,
        teacher: str = "", owned: bool = True, **student: object,
    ) -> str:  # fmt: skip
        """A student with a family, or one that is owned by none any more; its key."""
        of = teacher or commit(number)
        made = self.catalog.create_family(
            new_family(key(number), commit=of, teacher=f"org/T{number}"),
            new_student(key(number), teacher_commit=of, teacher=f"org/T{number}", **student),
            rungs(),
            (),
        )
        if state is StudentState.READY:
            self.catalog.student_whole(key(number), self.files(number), made=True)
            if measured:
                self.catalog.set_measuring(made.family.id, Fact.RUNNING)
                self.catalog.set_measuring(made.family.id, Fact.YES)
        elif state is not None:
            self.catalog.set_student_state(key(number), StudentState.DISTILLING)
            if state is not StudentState.DISTILLING:
                self.catalog.set_student_state(key(number), state, "why")
        if not owned:
            self.catalog.delete_family(made.family.id)
        return key(number)

    def files(self, number: int) -> dict[str, str]:
        """The student's folder, with its weights as the catalog knows them."""
        folder = self.put(f"students/{key(number)}", "model.safetensors", "boomerang.json")
        found = {}
        for path in folder.iterdir():
            found[path.name] = f"{number:064x}"
            self.catalog.remember_hash(path, found[path.name])
        return found

    def collect(self, dry_run: bool = False, **named: tuple[str, ...]) -> Collected:
        return collect(self.settings, self.catalog, Named(**named), dry_run=dry_run)

    def went(self, **named: tuple[str, ...]) -> set[str]:
        return names(self.collect(**named))

    def everything(self) -> dict[str, bytes]:
        home = self.settings.home
        ours = {"catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "gc.lock"}
        return {
            str(path.relative_to(home)): path.read_bytes()
            for path in home.rglob("*") if path.is_file() and path.name not in ours
        }  # fmt: skip


def names(done: Collected) -> set[str]:
    return {one.name for one in done.removed}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.catalog.close()


STATES = st.sampled_from([None, *StudentState])
FOLDERS = st.fixed_dictionaries({
    "state": STATES, "owned": st.booleans(), "measured": st.booleans(), "teacher": st.booleans(),
    "part": st.booleans(), "run": st.booleans(), "partial": st.booleans(), "young": st.booleans(),
    "member": st.booleans(), "aside": st.booleans(), "leased": st.booleans(),
})  # fmt: skip


@pytest.mark.long("a home with a catalog for each")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FOLDERS, max_size=4))
def test_whatever_lies_there_no_student_goes_and_nothing_that_is_needed(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, object]]
) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    may, must = set[str](), set[str]()
    for number, one in enumerate(drawn, 1):
        age = time.time() if one["young"] else OLD
        state = one["state"] or StudentState.QUEUED
        assert isinstance(state, StudentState)
        home.family(number, state, measured=bool(one["measured"]), owned=bool(one["owned"]))
        state = home.catalog.student(key(number)).state
        needed = bool(one["owned"]) or not state.over
        leased = bool(one["leased"])
        if leased:
            for subject in (f"student:{key(number)}", f"fetch:{commit(number)}"):
                home.catalog.lease_acquire(subject, "somebody", 60)
        ends = leased or bool(one["young"])
        for asked, name, stays in (
            ("teacher", f"teachers/{commit(number)}", needed),
            ("part", f"teachers/.{commit(number)}.part", needed and not one["teacher"]),
            ("run", f"runs/{key(number)}", state is not StudentState.READY
             or (bool(one["owned"]) and not one["measured"])),
            ("partial", f"students/.{key(number)}.partial", False),
            ("member", f"members/{commit(number + 100)}", False),
        ):  # fmt: skip
            if one[asked]:
                home.put(name, "a", "deep/b", age=age)
                goes = not stays and not (bool(one["young"]) if asked == "member" else ends)
                (may if goes else must).add(name)
        if one["aside"]:
            home.put(f"students/set-aside/{key(number)}.7", "model.safetensors")
            must.add(f"students/set-aside/{key(number)}.7")
    before = home.everything()
    said = home.collect(dry_run=True)
    assert home.everything() == before
    assert names(said) == may
    assert names(home.collect()) == may
    left = home.everything()
    assert left == {
        name: content for name, content in before.items()
        if not any(name.startswith(f"{gone}/") for gone in may)
    }  # fmt: skip
    assert {name for name in before if name.startswith("students/") and "/." not in name} <= set(
        left
    )
    assert names(home.collect()) == set()
    home.catalog.close()


def test_a_run_whose_student_was_touched_since_goes_only_by_name(home: Home) -> None:
    ready = home.family(1, StudentState.READY)
    home.put(f"runs/{ready}", "checkpoint.safetensors")
    weights = home.settings.student_folder(ready) / "model.safetensors"
    weights.write_text("another")
    done = home.collect()
    assert [one.name for one in done.by_name] == [f"runs/{ready}"]
    assert "touched since it was verified" in done.by_name[0].why
    assert home.went(runs=(ready,)) == {f"runs/{ready}"}


def test_what_cost_time_goes_only_by_name(home: Home) -> None:
    waits = home.family(1, StudentState.FAILED)
    home.put(f"runs/{waits}", "checkpoint.safetensors")
    aside = home.put(f"students/set-aside/{waits}.3", "model.safetensors")
    home.put(f"students/set-aside/{waits}.3.txt")
    home.put(f"teachers/set-aside/{commit(9)}.1", "model.safetensors")
    done = home.collect()
    assert names(done) == set()
    assert {one.name for one in done.by_name} == {
        f"runs/{waits}", f"students/set-aside/{waits}.3", f"teachers/set-aside/{commit(9)}.1",
    }  # fmt: skip
    with pytest.raises(BadRequest, match="There is nothing called nobody"):
        home.collect(aside=("nobody",))
    assert home.went(aside=(waits,)) == {f"students/set-aside/{waits}.3"}
    assert list(aside.parent.iterdir()) == []
    # Nor does a run that somebody works on, whoever names it.
    lease = home.catalog.lease_acquire(f"student:{waits}", "somebody", 60)
    assert lease is not None
    assert home.went(runs=(waits,)) == set()
    home.catalog.lease_release(lease)
    assert home.went(runs=(waits,)) == {f"runs/{waits}"}


def test_whoever_is_asked_for_a_teacher_just_now_finds_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The family comes after it was looked whether one needs the teacher, and before that goes."""
    teacher = home.put(f"teachers/{commit(1)}", "model.safetensors")
    asked = home.catalog.needed

    def then_asked_for(kind: Leftover, name: str) -> str | None:
        found = asked(kind, name)
        home.family(1)
        return found

    monkeypatch.setattr(home.catalog, "needed", then_asked_for)
    done = home.collect()
    assert names(done) == set()
    assert "needs it" in done.kept[0].why
    assert teacher.is_dir()


def test_nobody_can_begin_to_need_what_goes(url: str, tmp_path: Path) -> None:
    """On either database: who asks while it goes has asked after it went."""
    home = Home(tmp_path, url)
    teacher = home.put(f"teachers/{commit(1)}", "model.safetensors")
    seen: list[bool] = []

    def asked() -> None:
        home.family(1)
        seen.append(teacher.is_dir())

    thread = threading.Thread(target=asked)

    def go() -> None:
        thread.start()
        thread.join(0.5)
        assert seen == []
        teacher.rename(teacher.with_name("gone"))

    assert home.catalog.let_go(Leftover.TEACHER, commit(1), go) is None
    thread.join(30)
    assert seen == [False]
    home.catalog.close()


def test_a_student_to_be_made_of_another_needs_the_teacher_of_that(home: Home) -> None:
    base = home.family(1, StudentState.READY, owned=False)
    home.put(f"teachers/{commit(1)}", "model.safetensors")
    delta = {"base": "org/T1", "base_commit": commit(1), "base_student": base, "reference": None}
    home.family(2, recipe={"delta": delta})
    assert home.went() == set()
    home.catalog.set_student_state(key(2), StudentState.DISTILLING)
    home.catalog.set_student_state(key(2), StudentState.READY)
    assert home.went() == {f"teachers/{commit(1)}"}


def test_what_is_open_stays(home: Home) -> None:
    weights = home.put(f"teachers/{commit(1)}", "model.safetensors") / "model.safetensors"
    with weights.open("rb"):
        done = home.collect()
        assert (names(done), done.kept[0].why) == (set(), "a process of this machine has it open")
    assert home.went() == {f"teachers/{commit(1)}"}


def test_work_on_what_was_deleted_keeps_every_teacher(home: Home) -> None:
    home.put(f"teachers/{commit(1)}", "model.safetensors")
    lease = home.catalog.lease_acquire("family:0123456789ab", "somebody", 60)
    assert lease is not None
    assert home.went() == set()
    home.catalog.lease_release(lease)
    assert home.went() == {f"teachers/{commit(1)}"}


def test_logs_go_once_nobody_writes_to_them_and_what_was_going_goes(home: Home) -> None:
    long_ago = time.time() - 86400 * (LOG_DAYS + 1)
    home.put("logs/worker-distill.log.3", age=long_ago)
    home.put("logs/front-end.log")
    home.put(f"runs/.{key(1)}.abcd.gone", "checkpoint.safetensors")
    home.put("members/.hidden", "what is called like nothing of ours")
    assert home.went() == {"logs/worker-distill.log.3", f"runs/.{key(1)}.abcd.gone"}


def test_what_cannot_be_removed_is_said_and_the_rest_goes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put(f"teachers/{commit(1)}", "a")
    home.put(f"teachers/{commit(2)}", "a")
    removed: Callable[[Path], None] = collecting.shutil.rmtree

    def refused(path: Path) -> None:
        if commit(1) in path.name:
            raise PermissionError(13, "Permission denied")
        removed(path)

    monkeypatch.setattr(collecting.shutil, "rmtree", refused)
    done = home.collect()
    assert names(done) == {f"teachers/{commit(2)}"}
    assert done.kept[0].why == "it cannot be removed: Permission denied"


@pytest.mark.long("a home with a catalog for each")
def test_the_command_says_what_would_go_and_then_has_it_go(home: Home) -> None:
    home.put(f"teachers/{commit(1)}", "a")
    here = {"BOOMERANG_HOME": str(home.settings.home)}
    said = told("gc", "--dry-run", **here)
    assert (said["dry_run"], [one["name"] for one in said["removed"]]) == (
        True, [f"teachers/{commit(1)}"],
    )  # fmt: skip
    assert said["bytes"] == len(f"teachers/{commit(1)}/a")
    with collecting._alone(home.settings.home):
        assert "Another `boomerang gc` runs" in error("gc", **here)
    gone = told("gc", **here)["removed"]
    assert [one["name"] for one in gone] == [f"teachers/{commit(1)}"]
    assert "There is no" in error("gc", BOOMERANG_HOME=str(home.settings.home / "nowhere"))
