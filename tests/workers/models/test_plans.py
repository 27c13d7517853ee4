"""Plans of members are checked by whoever has torch, and nobody builds by one that was not."""

from pathlib import Path

import pytest

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact
from boomerang.errors import CorruptCheckpoint
from boomerang.service.jobs import Check
from tests.workers.models.test_members import context, family
from workers.assemble import assemble
from workers.context import Context
from workers.measure import measure
from workers.models import plans

__all__ = ["context"]
pytestmark = pytest.mark.slow("the architecture is loaded with torch")


@pytest.fixture
def torch_is_here(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether this worker's image has torch: the last of the list."""
    here = [True]
    real = plans.find_spec
    monkeypatch.setattr(plans, "find_spec", lambda name: real(name) if here[-1] else None)
    return here


def test_a_worker_without_torch_builds_what_another_has_checked(
    context: Context, torch_is_here: list[bool]
) -> None:
    made = family(context)
    context.apart.set()  # as where another worker assembles
    measure(context, made.id)
    assert plans.check(context, made.id) == "0 checked"
    torch_is_here.append(False)
    assert [assemble(context, made.id, k) for k in (0, 1)] == ["built", "built"]


def test_a_plan_that_nobody_has_checked_is_not_built_but_asked_for(
    context: Context, torch_is_here: list[bool]
) -> None:
    made = family(context, NewRequest(kind="build", what="*"))
    measure(context, made.id)
    torch_is_here.append(False)
    assert plans.check(context, made.id) == "no torch"
    assert assemble(context, made.id, 0, 1) == "again"
    member = context.catalog.member(made.id, 0)
    assert member.built is Fact.NO
    assert "No worker that has torch" in str(member.built_reason)
    assert context.producer.sent[-1] == Check(family=made.id)  # type: ignore[attr-defined]
    torch_is_here.append(True)
    assert plans.check(context, made.id) == "2 checked"
    torch_is_here.append(False)
    assert assemble(context, made.id, 0, 1) == "built"


def test_what_is_wrong_with_a_plan_is_said_and_checked_again_when_it_is_asked_again(
    context: Context, torch_is_here: list[bool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = family(context)
    measure(context, made.id)

    def refuse(plan: object) -> None:
        raise CorruptCheckpoint("1 missing (lm_head.weight).")

    with monkeypatch.context() as patched:
        patched.setattr(plans, "_verify", refuse)
        assert plans.check(context, made.id) == "2 checked"
    torch_is_here.append(False)
    assert assemble(context, made.id, 0) == "failed"
    assert "lm_head" in str(context.catalog.member(made.id, 0).built_reason)
    sent = len(context.producer.sent)  # type: ignore[attr-defined]
    assemble(context, made.id, 0)
    assert context.producer.sent[sent:] == [Check(family=made.id)]  # type: ignore[attr-defined]
    torch_is_here.append(True)
    assert assemble(context, made.id, 1) == "built"
