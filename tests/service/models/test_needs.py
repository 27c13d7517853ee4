"""What members of a family in the catalog take of memory: that of its teacher's shape."""

from dataclasses import replace
from pathlib import Path

from boomerang.catalog.catalog import Catalog
from boomerang.family.memory import Memory
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.pipeline import ask
from boomerang.service.models.needs import needs_of
from boomerang.service.settings import Settings
from tests.support.models import duo
from tests.support.outbox import Outbox


def test_what_was_kept_when_it_was_planned_tells_each_member_s_need(tmp_path: Path) -> None:
    pair = duo(tmp_path / "models", "gemma2").pair
    settings = Settings(home=tmp_path / "home", models=tmp_path / "models")
    catalog = Catalog(settings.database_url)
    body = FamilyRequest(teacher="teacher", student="student", order="last")
    id_, _ = ask(settings, catalog, Outbox(), body)
    family, members = catalog.family(id_), catalog.members(id_)
    student = catalog.student(family.student)
    memory = Memory.of(pair.teacher)
    assert Memory.parse(family.shape) == memory
    needs = needs_of(family, student, members, 64)
    assert [need.weights for need in needs] == [member.bytes for member in members]
    assert needs[-1].cache == memory.cache(range(8), 64)
    assert needs[0].cache == memory.cache(pair.layermap.kept, 64)
    assert [need.total for need in needs] == sorted(need.total for need in needs)
    halved = needs_of(family, student, members, 64, dtype="int8")
    assert halved[-1].weights == members[-1].parameters
    assert halved[-1].cache == needs[-1].cache
    # An older catalog has no shape: the weights are still known.
    older = needs_of(replace(family, shape=None), student, members, 64)
    assert [need.total for need in older] == [member.bytes for member in members]
    catalog.close()
