"""What is said of catalogs, in which nothing is changed by looking."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.migrations import schema
from boomerang.catalog.records.families import NewMember
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.catalog import catalog, has_keys, kind_of, wanted_bytes
from boomerang.service.upkeep.doctor.finding import Finding
from tests.catalog.conftest import new_family, new_student


def found(url: str, home: Path) -> dict[str, Finding]:
    return {one.name: one for one in catalog(Settings(home=home, database_url=url))}


def revise(url: str, revision: str) -> None:
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    engine.dispose()


def test_a_catalog_of_this_version_and_of_others(url: str, tmp_path: Path) -> None:
    Catalog(url).close()
    said = found(url, tmp_path)
    assert {one.state for one in said.values()} == {"ok"}
    assert said["schema"].value == schema.HEAD
    revise(url, "0009")
    older = found(url, tmp_path)["schema"]
    assert (older.state, older.value) == ("warn", "0009")
    assert "boomerang migrate" in older.fix
    # It was looked at, and nothing else.
    assert schema.look(url).revision == "0009"
    revise(url, "0099")
    assert found(url, tmp_path)["schema"].state == "fail"


def test_there_is_none_yet_and_there_is_none_after_the_look(tmp_path: Path) -> None:
    said = found("", tmp_path / "home")
    assert [one.state for one in said.values()] == ["ok"]
    assert not (tmp_path / "home").exists()
    assert wanted_bytes(Settings(home=tmp_path / "home")) == 0


def test_a_database_that_does_not_answer_and_its_password(tmp_path: Path) -> None:
    said = found("postgresql://me:hidden-word@127.0.0.1:1/x", tmp_path)
    assert said["catalog"].state == "fail"
    assert "hidden-word" not in repr(said)
    broken = tmp_path / "catalog.sqlite"
    broken.write_bytes(b"no database at all" * 100)
    assert found(f"sqlite:///{broken}", tmp_path)["catalog"].state == "fail"


@pytest.mark.parametrize("local", [True, False])
def test_the_room_that_students_will_take(tmp_path: Path, local: bool) -> None:
    settings = Settings(home=tmp_path)
    opened = Catalog(settings.database_url)
    ladder = [
        NewMember(k=k, size=f"{k}", code="", digest=f"{k}", parameters=10 * (k + 1),
                  bytes=1000 * (k + 1), layers=k) for k in range(3)
    ]  # fmt: skip
    source = str(tmp_path) if local else None
    student = new_student(teacher_source=source)
    opened.create_family(new_family(source=source), student, ladder, ())
    opened.create_family(new_family(order="first", source=source), student, ladder, ())
    # The student, a checkpoint of its ten parameters, and its teacher where that is fetched.
    assert wanted_bytes(settings) == 1000 + 12 * 10 + (0 if local else 3000)
    opened.close()
    assert not has_keys(settings.database_url)


def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount() -> None:
    assert kind_of(Path("/proc/self")) == "proc"
