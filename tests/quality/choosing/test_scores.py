"""Costs of single blocks against measuring them, and their sums against trying every member."""

from itertools import product

import pytest
import torch

from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.quality.choosing.orders import choose
from boomerang.quality.choosing.scores import Scores
from boomerang.quality.choosing.search import Judge
from tests.support.models import VOCABULARY, model

WINDOWS = torch.randint(VOCABULARY, (8, 13), generator=torch.Generator().manual_seed(5))
MAP = LayerMap((0, 3, 5, 6), 8)
"""Blocks of three, two, one and two layers."""


@pytest.fixture(scope="module")
def both() -> Couple:
    """A teacher, and a student whose layers are other random ones."""
    return couple(
        Causal(model("llama", 1, num_hidden_layers=8)),
        Causal(model("llama", 2, num_hidden_layers=4)),
        MAP,
    )


def test_each_block_is_measured_alone(both: Couple) -> None:
    judge = Judge(both, WINDOWS)
    scores = Scores.of(judge)
    assert set(scores.student) == set(scores.first) == {0, 1, 3}
    assert judge.spent == 6
    alone = judge([Composition.of(MAP, "bsbb"), Composition.of(MAP, "bbbf")])
    assert [q.kl for q in alone.values()] == [scores.student[1], scores.first[3]]


def test_every_depth_has_the_member_of_the_least_sum(both: Couple) -> None:
    student, first = {0: 0.5, 1: 0.1, 3: 0.3}, {0: 0.6, 1: 0.4, 3: 0.2}
    found = Scores(MAP, student, first).members()
    assert [len(member.layers) for member in found] == [5, 6, 7]
    for member in found:
        sums = []
        for patched in product((True, False), repeat=3):
            set_ = [j for j, there in zip(MAP.long, patched, strict=True) if there]
            if len(Composition.patched(MAP, set_).layers) == len(member.layers):
                sums.append(sum(min(student[j], first[j]) for j in MAP.long if j not in set_))
        mine = {Choice.STUDENT: student, Choice.FIRST: first}
        costs = [mine[c][j] for j, c in enumerate(member.choices) if c in mine and j in MAP.long]
        assert sum(costs) == pytest.approx(min(sums))
    # The last block is better as the teacher's own first layer.
    assert found[1].choices[3] is Choice.FIRST


def test_a_third_choice_that_is_nowhere_better_is_left_out_and_that_is_said(both: Couple) -> None:
    assert Scores(MAP, {0: 0.5, 1: 0.1, 3: 0.3}, {0: 0.6, 1: 0.4, 3: 0.2}).third
    assert not Scores(MAP, {0: 0.5, 1: 0.1, 3: 0.1}, {0: 0.6, 1: 0.4, 3: 0.2}).third
    chosen = choose(both, WINDOWS, "best")
    assert ("was not tried" in (chosen.note or "")) is not chosen.third


def test_blocks_of_three_lose_no_depth(both: Couple) -> None:
    chosen = choose(both, WINDOWS, "best")
    assert [len(Composition.of(MAP, str(code)).layers) for code in chosen.order] == [4, 5, 6, 7, 8]
