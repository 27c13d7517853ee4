"""What the benchmark of quality counts, compares and writes."""

from pathlib import Path

import pytest
import torch

from benchmarks.distillation.shapes import Shape
from benchmarks.quality import cost, family, memory, picture, report
from benchmarks.quality.family import AUTO, FIRST, KLPATCH, LAST, NAIVE_BEST, Found, Source
from benchmarks.quality.paired import Estimate, over_runs
from boomerang.family.composition import Choice, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.quality.choosing.search import Judge
from boomerang.quality.measure import Quality, measure
from boomerang.recipes.recipe import Recipe

TINY = Shape(6, 64, 50, 2, 12, 1)


def test_what_twelve_layers_share() -> None:
    layermap = LayerMap.published(12)
    last = members_of(layermap, last_to_first(layermap))
    first = members_of(layermap, first_to_last(layermap))
    assert sum(len(member.layers) for member in last) == 57
    # 0.83 and 0.65 of measuring each by itself.
    assert (cost.shared_layers(last), cost.shared_layers(first)) == (47, 37)


@pytest.mark.long("a whole benchmark at toy size")
def test_every_contender_measures_the_same() -> None:
    both, windows = cost.from_shape(TINY), cost.random_windows(TINY)
    members = members_of(both.layermap, both.layermap.long)
    for one, other in zip(
        measure(both, windows, members), cost.apart(both, windows, members), strict=True
    ):
        assert one.kl == pytest.approx(other.kl, abs=1e-6)
        assert one.perplexity == pytest.approx(other.perplexity, rel=1e-6)
    found = cost.costs(both, windows, rounds=2)
    assert [(one.order, len(one.shared)) for one in found] == [("last", 2), ("first", 2)]
    assert all(one.by_apart > 0 and one.by_arithmetic > 0 for one in found)


def test_the_peak_is_the_process_own(capsys: pytest.CaptureFixture[str]) -> None:
    for contender in memory.CONTENDERS:
        memory.main([contender, *TINY.arguments])
        assert float(capsys.readouterr().out) == pytest.approx(memory.peak(), rel=0.2)


def test_the_lowest_of_each_depth_is_lowest() -> None:
    both, windows = cost.from_shape(TINY), cost.random_windows(TINY)
    judge = Judge(both, windows)
    members = family.every(both.layermap, (Choice.FIRST, Choice.BLOCK))
    found = family.lowest(judge, members)
    depths = [len(member.layers) for member in found]
    assert depths == list(range(len(both.layermap.kept), TINY.layers + 1))
    known = judge(members)
    for best in found:
        same = [member for member in members if len(member.layers) == len(best.layers)]
        assert known[best].kl == min(known[member].kl for member in same)


def test_a_difference_is_as_sure_as_its_windows_agree() -> None:
    hard, easy = [1.0, 9.0, 2.0], [0.5, 8.5, 1.5]
    assert Estimate.of(hard).error > 2
    assert Estimate.difference(hard, easy) == Estimate(0.5, 0.0)


def test_how_sure_a_mean_over_runs_is() -> None:
    # Two runs that are 0.0024 apart: half of that, however sure each is of its own windows.
    assert over_runs([-0.0084, -0.0060]) == pytest.approx(0.0012)
    assert over_runs([0.3]) == 0


def test_tables_and_picture(tmp_path: Path) -> None:
    def seed(shift: float) -> Found:
        def series(kl: float) -> dict[int, Quality]:
            return {d: Quality(9.0, kl, (kl + shift, kl - shift / 2)) for d in (4, 5, 6)}

        names = [name for name in report.SHOWN if name != family.APART]
        found = {name: series(0.1 * (at + 1)) for at, name in enumerate(names)}
        found[family.APART] = {5: Quality(9.0, 0.15, (0.15, 0.16))}
        orders = dict.fromkeys((AUTO, KLPATCH, NAIVE_BEST), ("sss", "sbs", "bbb"))
        return Found(found, orders, {4: 1000, 5: 1500, 6: 2000})

    found = [seed(0.01), seed(0.02)]
    recipe = Recipe.load("kjv").override(steps=1)
    source = Source(Path("a/teacher"), Path("a"), recipe, tmp_path, 512, 1024)
    text = report.sizes(found, source)
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:1] == "|"}
    assert "2 seeds" in text
    assert "-0.2000 ± 0.0000 ± 0.0000 (-0.2000, -0.2000)" in rows[f"− {LAST}"]
    assert rows[f"− {FIRST}"].count("-0.3000") == 6
    # Measured at one size alone: the others are empty.
    assert rows[f"− {family.APART}"].count("±") == 2
    assert "at 5 layers it does not win (9.00 against 9.00)." in text
    picture.picture(found, tmp_path / "quality.png", "Sizes")
    assert (tmp_path / "quality.png").stat().st_size > 10_000


def test_costs_as_a_table() -> None:
    both = cost.from_shape(TINY)
    with torch.no_grad():
        found = {"toy": cost.costs(both, cost.random_windows(TINY), rounds=1)}
    text = report.costs(found, {"loaded": 100.0, "family": 120.0}, TINY)
    assert "| family | 120 | 20 |" in text
    assert text.count("| toy | ") == 2
