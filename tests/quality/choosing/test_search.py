"""The search for the best member at each depth, against trying every composition there is."""

import time
from itertools import product

import pytest
import torch

from boomerang.errors import BadComposition
from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of, parse_order, show_order
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.quality.choosing import search as choosing_search
from boomerang.quality.choosing import search as searching
from boomerang.quality.choosing.orders import NESTED, choose, chosen_on, klpatch
from boomerang.quality.choosing.search import Judge, search
from boomerang.quality.measure import Quality, measure
from tests.support.models import VOCABULARY, model

pytestmark = pytest.mark.slow("a search measures many members")

WINDOWS = torch.randint(VOCABULARY, (24, 13), generator=torch.Generator().manual_seed(5))
MAP = LayerMap((0, 2, 4, 6), 8)


@pytest.fixture(scope="module")
def both() -> Couple:
    """A student whose layers are the teacher's with noise, each with another amount of it."""
    parts = Causal(model("llama", 1)), Causal(model("llama", 1, num_hidden_layers=4))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for j, noise in enumerate((0.02, 0.3, 0.01, 0.1)):
            parts[1].layers[j].load_state_dict(parts[0].layers[2 * j].state_dict())
            for p in parts[1].layers[j].parameters():
                p.add_(noise * torch.randn(p.shape, generator=generator))
        for to, of in zip(parts[1].ends, parts[0].ends, strict=True):
            to.load_state_dict(of.state_dict())
    return couple(*parts, MAP)


def every(both: Couple) -> dict[int, dict[str, float]]:
    """KL of every composition, by depth and choices."""
    members = [Composition.of(MAP, choices) for choices in product("sbf", repeat=4)]
    found: dict[int, dict[str, float]] = {}
    for member, quality in zip(members, measure(both, WINDOWS, members), strict=True):
        found.setdefault(len(member.layers), {})["".join(member.choices)] = quality.kl
    return found


def test_an_order_is_chosen_on_a_sixteenth_of_what_is_measured_on_within_bounds() -> None:
    told = [(100, 100), (4096, 1024), (16384, 1024), (32768, 2048), (65536, 4096), (10**6, 4096)]
    assert [(tokens, chosen_on(tokens)) for tokens, _ in told] == told


@pytest.mark.long("a search measures many members")
def test_the_search_finds_what_trying_everything_finds(both: Couple) -> None:
    chosen = choose(both, WINDOWS, "best")
    exhaustive = every(both)
    assert [len(Composition.of(MAP, str(code)).layers) for code in chosen.order] == [4, 5, 6, 7, 8]
    for kl, code in zip(chosen.calibration_kl["best"][1:-1], chosen.order[1:-1], strict=True):
        depth = len(Composition.of(MAP, str(code)).layers)
        # A simpler order may stand where it is not clearly worse.
        assert kl <= min(exhaustive[depth].values()) * 1.1


def test_no_size_is_worse_than_in_another_order(both: Couple) -> None:
    chosen = choose(both, WINDOWS, "auto")
    assert chosen.name == "best"
    kls = chosen.calibration_kl
    for k in range(5):
        simple = min(kls[name][k] for name in NESTED)
        assert kls["best"][k] <= simple
    assert sum(kls["best"]) < min(sum(kls[name]) for name in NESTED)
    assert Choice.FIRST.value in "".join(map(str, chosen.order))


@pytest.mark.parametrize(
    ("student", "last", "first", "wanted"),
    [
        (20.0, (0.3, 19.0), (0.2, 18.0), "first"),
        (20.0, (0.3, 19.0), (0.2, 21.0), "last"),
        (20.0, (0.3, 22.0), (0.2, 21.0), "first"),
        (20.0, (0.205, 19.9), (0.2, 20.1), "last"),
        (20.0, (0.22, 19.9), (0.2, 20.1), "first"),
    ],
    ids=[
        "by KL",
        "not back in perplexity",
        "where all go back, by KL",
        "hardly farther",
        "hardly back",
    ],
)
def test_what_is_chosen_at_a_depth(
    both: Couple,
    monkeypatch: pytest.MonkeyPatch,
    student: float,
    last: tuple[float, float],
    first: tuple[float, float],
    wanted: str,
) -> None:
    ladders = {"last": members_of(MAP, (3, 2, 1, 0)), "first": members_of(MAP, (0, 1, 2, 3))}
    told = {
        ladders["last"][0]: Quality(student, 0.5, (0.5,)),
        ladders["last"][1]: Quality(last[1], last[0], (last[0],)),
        ladders["first"][1]: Quality(first[1], first[0], (first[0],)),
    }
    other = Quality(1.0, 0.0, (0.0,))
    monkeypatch.setattr(
        choosing_search, "measure", lambda couple, windows, members, tick: [
            told.get(member, other) for member in members
        ],
    )  # fmt: skip
    found = search(Judge(both, WINDOWS), ladders, evaluations=0)
    assert found.members[1] == ladders[wanted][1]


def test_without_a_budget_the_best_of_the_known_orders_stands(both: Couple) -> None:
    ladders = {"last": members_of(MAP, (3, 2, 1, 0)), "first": members_of(MAP, (0, 1, 2, 3))}
    judge = Judge(both, WINDOWS)
    found = search(judge, ladders, evaluations=0)
    assert judge.measured == 7
    assert found.unfinished == (5, 6, 7)
    for k, member in enumerate(found.members):
        assert member in (ladders["last"][k], ladders["first"][k])


@pytest.mark.long("a search measures many members")
@pytest.mark.parametrize("evaluations", [1, 3, 7.5, 20])
def test_a_search_costs_no_more_than_its_budget_and_says_what_it_left(
    both: Couple, evaluations: float
) -> None:
    ladders = {"last": members_of(MAP, (3, 2, 1, 0)), "first": members_of(MAP, (0, 1, 2, 3))}
    free, bound = Judge(both, WINDOWS), Judge(both, WINDOWS)
    everything = search(free, ladders, float("inf"))
    found = search(bound, ladders, evaluations)
    assert everything.unfinished == ()
    # The student and 5, 6 and 7 layers of two known orders are measured in any case.
    assert bound.spent - 7 <= evaluations < free.spent - 7
    assert found.unfinished
    assert [len(member.layers) for member in found.members] == [4, 5, 6, 7, 8]


@pytest.mark.long("a search is made twice")
def test_what_is_chosen_does_not_depend_on_the_clock(
    both: Couple, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine a thousand times as slow: every look at a clock is an hour after the last."""
    wanted = choose(both, WINDOWS, "best")
    hours = iter(range(10**9))
    for name in ("monotonic", "perf_counter", "time"):
        monkeypatch.setattr(time, name, lambda: 3600.0 * next(hours))
    assert choose(both, WINDOWS, "best") == wanted


@pytest.mark.long("a search measures many members")
def test_what_was_not_searched_is_said_in_words(both: Couple) -> None:
    assert choose(both, WINDOWS, "auto").note is None
    note = choose(both, WINDOWS, "auto", evaluations=2).note
    assert note is not None
    assert "of 3 sizes some choices of layers were not tried" in note


@pytest.mark.long("a search measures many members")
def test_the_greedy_order_looks_at_all_and_measures_few(monkeypatch: pytest.MonkeyPatch) -> None:
    layermap = LayerMap(tuple(range(0, 24, 2)), 24)
    parts = model("llama", 1, num_hidden_layers=24), model("llama", 2, num_hidden_layers=12)
    judge = Judge(couple(Causal(parts[0]), Causal(parts[1]), layermap), WINDOWS[:16])
    assert sorted(klpatch(judge)) == list(layermap.long)
    # 12 + 11 + … + 2 members, of which four at a time are measured on all 16 windows.
    assert judge.measured <= 4 * 9 + 3 + 2
    assert judge.spent == judge.measured + 77 / 16


@pytest.mark.long("a search measures many members")
def test_a_gain_within_its_own_noise_is_not_taken(
    both: Couple, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder = {"last": members_of(MAP, (3, 2, 1, 0))}
    assert search(Judge(both, WINDOWS), ladder).members != ladder["last"]
    monkeypatch.setattr(searching, "stdev", lambda gains: float("inf"))
    assert search(Judge(both, WINDOWS), ladder).members == ladder["last"]


def test_blocks_of_many_layers_give_steps_of_their_own_depth() -> None:
    layermap = LayerMap((0, 3, 5), 6)
    parts = (
        Causal(model("llama", 1, num_hidden_layers=6)),
        Causal(model("llama", 2, num_hidden_layers=3)),
    )
    chosen = choose(couple(*parts, layermap), WINDOWS[:8], "best")
    depths = [len(Composition.of(layermap, str(code)).layers) for code in chosen.order]
    assert depths == [3, 4, 5, 6]


@pytest.mark.parametrize("text", ["3,2,1,0", "ssss,ssfb,bbbb"])
def test_orders_are_read_as_they_are_shown(text: str) -> None:
    order = parse_order(text)
    assert order is not None
    assert show_order(order) == text
    assert len(members_of(MAP, order)) == {"3": 5, "s": 3}[text[0]]


@pytest.mark.parametrize(
    "text", ["1,2,3", "0,1,2,2", "ssss,bbbb,bbbs", "ssss,ssbs,sbss,bbbb", "sssb,bbbb", "sss,bbb"]
)
def test_what_is_no_order_is_refused(text: str) -> None:
    order = parse_order(text)
    assert order is not None
    with pytest.raises(BadComposition):
        members_of(MAP, order)


@pytest.mark.parametrize("text", ["", "best", "1,s", "-1,2", "ssxs,bbbb"])
def test_what_cannot_be_read_as_an_order(text: str) -> None:
    assert parse_order(text) is None
