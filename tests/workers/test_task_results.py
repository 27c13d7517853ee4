"""Tasks as a worker has them run: kept by composition, tried again, and never in the way."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import Fact
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from tests.support.places import ROOT
from tests.workers.conftest import KEPT, LAYERS, write_model
from tests.workers.models.test_members import family
from workers.assemble import assemble
from workers.context import Context
from workers.measure import measure

FAKE = (sys.executable, str(Path(__file__).with_name("fake_measurer.py")))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    # The version of a harness that is installed, without installing it.
    installed = tmp_path / "site" / "lm_eval-0.9.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: lm-eval\nVersion: 0.9\n")
    monkeypatch.syspath_prepend(str(installed.parent))
    root = ROOT
    monkeypatch.setenv("PYTHONPATH", f"{installed.parent}:{root}")
    write_model(tmp_path / "teacher", LAYERS, seed=1)
    write_model(tmp_path / "student", len(KEPT), seed=2)
    kept = {"copied_teacher_layers": list(KEPT)}
    (tmp_path / "student" / "student_config.json").write_text(json.dumps(kept))
    settings = Settings(home=tmp_path / "home", measurer=FAKE, data=tmp_path)
    opened = Context(settings, Catalog(settings.database_url), Outbox())
    yield opened
    opened.catalog.close()


def job(context: Context, made: Family) -> dict[str, Any]:
    """What the measurer was last told."""
    folder = context.settings.run_folder(made.student) / f"measure-{made.id}"
    found: dict[str, Any] = json.loads((folder / "job.json").read_text())
    return found


def values(context: Context, made: Family, name: str) -> list[float | str | None]:
    results = [(member.tasks or {}).get(name) for member in context.catalog.members(made.id)]
    return [None if one is None else one["failed"] or one["metrics"][0]["value"] for one in results]


def test_results_reach_catalog_and_card(context: Context) -> None:
    made = family(context, tasks={"piqa": None, "arc_easy": 7})
    assert measure(context, made.id) == "measured"
    assert not job(context, made)["tasks_only"]
    assert values(context, made, "piqa") == values(context, made, "arc_easy") == [0.5, 0.75]
    assert assemble(context, made.id, 1) == "built"
    folder = context.settings.member_folder(context.catalog.member(made.id, 1).digest)
    text = (folder / "README.md").read_text()
    results = {one.dataset_name: one for one in ModelCard(text).data.eval_results}
    found = results["arc_easy"]
    assert (found.metric_type, found.metric_value, found.metric_args) == (
        "acc", 0.75, {"stderr": 0.25},
    )  # fmt: skip
    assert found.source_name == "lm-evaluation-harness 0.9"
    assert found.dataset_args == {
        "version": "1", "num_few_shot": 0, "examples": 7, "limited": True,
    }  # fmt: skip
    assert "limited" not in results["piqa"].dataset_args
    assert "| arc_easy | acc | 0.75 ± 0.25 | 0 | 7 of more |" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )


def test_figures_are_kept_as_they_become_known(context: Context) -> None:
    made = family(context)
    assert measure(context, made.id) == "measured"
    events = [(e.kind, e.payload) for e in context.catalog.events_after(0, made.id)]
    told = [p for kind, p in events if kind == "member" and p["fact"] == "measured"]
    assert [(p["k"], p["state"], p["perplexity"]) for p in told] == [
        (0, "no", 99.0), (1, "no", 99.0), (0, "yes", 9.0), (1, "yes", 8.0),
    ]  # fmt: skip
    assert [p["reason"] for p in told] == ["so far 1,024 of 65,536 tokens"] * 2 + [None] * 2
    said = [p["reason"] for kind, p in events if kind == "measuring" and p["reason"]]
    assert said[-5:] == [
        "choosing the order: 2 of at most 96 measurements", "measuring on held-out text",
        "measuring, so far 512 of 65,536 tokens", "what sizes write: 1 of 2", "Not all was tried.",
    ]  # fmt: skip
    # Measured once more, nothing that is known is taken back.
    context.catalog.measure_resend(made.id)
    assert measure(context, made.id) == "measured"
    events = [(e.kind, e.payload) for e in context.catalog.events_after(0, made.id)]
    again = [p for kind, p in events if kind == "member" and p["fact"] == "measured"]
    assert [p["state"] for p in again[len(told) :]] == ["yes", "yes"]


def test_more_tasks_measure_only_what_is_lacking(context: Context) -> None:
    family(context, tasks={"piqa": None})
    made = family(context, order="first", tasks={"piqa": None})
    first = context.catalog.families()[-1]
    assert measure(context, first.id) == "measured"
    # The same compositions in another family: nothing of the task is run again.
    assert measure(context, made.id) == "measured"
    (asked,) = job(context, made)["tasks"]
    assert asked["known"] == ["bbb+ttt", "sss+sss"]
    assert values(context, made, "piqa") == [0.5, 0.75]
    # Asked for later: the members are measured, so that the tasks are all there is to do.
    made = family(context, order="first", tasks={"arc_easy": None})
    assert made.measuring is Fact.NO
    assert measure(context, made.id) == "measured"
    told = job(context, made)
    assert told["tasks_only"]
    assert {one["name"]: one["known"] for one in told["tasks"]} == {
        "piqa": ["bbb+ttt", "sss+sss"], "arc_easy": [],
    }  # fmt: skip
    assert values(context, made, "arc_easy") == [0.5, 0.75]
    assert values(context, first, "arc_easy") == [None, None]
    # Another number of examples is another result.
    made = family(context, order="first", tasks={"piqa": 5})
    assert measure(context, made.id) == "measured"
    assert context.catalog.member(made.id, 1).tasks["piqa"]["limit"] == 5  # type: ignore[index]


def test_a_task_that_fails_is_no_figure_and_stops_nothing(context: Context) -> None:
    made = family(context, tasks={"lost": None, "piqa": None})
    assert measure(context, made.id) == "measured"
    assert values(context, made, "lost") == ["ConnectionError: no data"] * 2
    assert values(context, made, "piqa") == [0.5, 0.75]
    assert context.catalog.member(made.id, 0).perplexity == 9.0
    assert assemble(context, made.id, 0) == "built"
    folder = context.settings.member_folder(context.catalog.member(made.id, 0).digest)
    text = (folder / "README.md").read_text()
    assert text.count("lost") == 1
    assert "**Tasks that ended without a figure**: lost." in text
    # Asked for again it is tried again, alone.
    assert family(context, tasks={"lost": None}).measuring is Fact.NO
    assert measure(context, made.id) == "measured"
    assert {one["name"]: len(one["known"]) for one in job(context, made)["tasks"]} == {
        "lost": 0, "piqa": 2,
    }  # fmt: skip


def test_tasks_need_no_texts(context: Context) -> None:
    context = Context(
        context.settings.model_copy(update={"data": None}), context.catalog, context.producer
    )
    made = family(context, order="auto", tasks={"piqa": None})
    assert measure(context, made.id) == "not measured"
    assert job(context, made)["tasks_only"]
    assert values(context, made, "piqa") == [0.5, 0.75]
    now = context.catalog.family(made.id)
    assert (now.chosen, now.measuring, now.measuring_reason) == (
        "last", Fact.NO, "there are no texts to measure with",
    )  # fmt: skip


def test_a_task_asked_for_meanwhile_is_not_forgotten(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = family(context, tasks={"piqa": None})
    before = context.catalog.set_task

    def and_then(*arguments: Any, **more: Any) -> None:
        before(*arguments, **more)
        family(context, tasks={"arc_easy": None})

    monkeypatch.setattr(context.catalog, "set_task", and_then)
    assert measure(context, made.id) == "measured"
    now = context.catalog.family(made.id)
    assert (now.measuring, now.measuring_reason) == (Fact.NO, "more tasks")
    monkeypatch.undo()
