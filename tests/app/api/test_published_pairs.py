"""DistilBERT and BERT through the service: asked for, settled without measures, downloaded."""

import io
import tarfile
from pathlib import Path

import pytest
import torch

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front, problem
from tests.architecture.test_bert import (
    KEPT,
    LAYERS,
    Encoders,
    by_hand,
    encoders,
    masked,
    masked_logits,
)
from tests.assembly.test_stitch import told as rule
from tests.support.outbox import Outbox
from workers.context import Context
from workers.measure import measure


@pytest.fixture
def made(front: Front) -> Encoders:
    return encoders(front.models)


PAIR = {"teacher": "bert", "student": "distilbert"}


def test_every_size_is_served(front: Front, made: Encoders, tmp_path: Path) -> None:
    family = front.family(**PAIR, order="auto", kept=list(KEPT), data="texts")
    assert family["student"]["kept"] == list(KEPT)
    assert front.family(**PAIR, order="auto", kept=list(KEPT), data="texts")["id"] == family["id"]
    context = Context(front.settings, front.catalog, Outbox())
    assert family["student"]["state"] == StudentState.READY
    assert measure(context, family["id"]) == "not measured"
    settled = front.catalog.family(family["id"])
    assert settled.chosen == "last"
    assert settled.measuring is Fact.NO
    members = front.catalog.members(family["id"])
    for member in members:
        answer = front.client.get(f"/models/{member.size}")
        assert answer.status_code == 200, answer.text
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            tar.extractall(tmp_path / member.size, filter="data")
        folder = next(path.parent for path in (tmp_path / member.size).rglob("config.json"))
        wanted = by_hand(made, rule(KEPT, "last", member.k, LAYERS))
        assert torch.equal(masked_logits(masked(folder)), wanted)
        assert "fill-mask" in (folder / "README.md").read_text()
    assert {member.k for member in members} >= {0, 5}


def test_what_is_refused(front: Front, made: Encoders) -> None:
    silent = problem(front.post(**PAIR), 422, "student-mismatch")
    assert "0,2,4,7,9,11" in silent["fix"]
    alone = problem(front.post(teacher="bert"), 422, "unsupported-architecture")
    assert "not distilled" in alone["detail"]
    problem(front.post(**PAIR, kept=[0, 2, 4]), 422, "student-mismatch")
