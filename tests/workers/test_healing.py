"""A size is healed by real workers and the real trainer, and what was healed is a family."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from boomerang.catalog.records.states import Fact
from boomerang.checkpoint.files import RECORD
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.pipeline import ask
from tests.distill.jobs import RECIPE, save_texts, save_tokenizer
from tests.support.models import duo
from tests.workers.conftest import Backend, wait_for

pytestmark = pytest.mark.long("real workers and the real trainer")


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Backend]:
    opened = Backend(tmp_path, trainer=())
    yield opened
    opened.close()


def test_a_size_of_a_ready_family_is_healed(real: Backend) -> None:
    shutil.rmtree(real.models)
    made = duo(real.models, "qwen3-tied", frozen=True)
    save_tokenizer(made.teacher_folder)
    save_texts(real.models / "texts")
    real.worker()

    def asked(**body: object) -> str:
        request = FamilyRequest.model_validate({"teacher": "teacher", "order": "last"} | body)
        return ask(real.settings, real.catalog, real.producer, request)[0]

    family = asked(student="student", data="texts")
    wait_for(lambda: real.catalog.family(family).chosen is not None, 60)
    members = real.catalog.members(family)
    fields = RECIPE | {"patch_probability": 0, "kl_weight": 1.0, "steps": 30}
    heal = {"family": family, "size": members[1].size}
    healed = asked(heal=heal, recipe=fields, sizes=[members[1].size])
    key = real.catalog.family(healed).student
    wait_for(lambda: real.catalog.student(key).state.over, 120)
    states = [(state, reason) for state, reason in real.states(key)]
    assert states == [("queued", None), ("distilling", None), ("ready", None)]
    out = real.settings.student_folder(key)
    record = json.loads((out / RECORD).read_text())
    assert (record["key"], record["healed"]["code"]) == (key, members[1].code)
    assert record["healed"]["student_key"] == real.catalog.family(family).student
    assert record["final"]["kl"] < record["healed"]["before"]["kl"]
    # It is a size that is served as any, and what was asked for of it is built.
    wait_for(lambda: real.catalog.members(healed)[0].built is Fact.YES, 60)
    smallest = real.catalog.members(healed)[0]
    assert (smallest.size, smallest.layers) == (members[1].size, members[1].layers)
    built = real.settings.member_folder(smallest.digest)
    _, info = AutoModelForCausalLM.from_pretrained(built, output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
