"""Tasks of a request: names that exist, kept with the family, shown where figures are."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.app.conftest import ROOT, Front, problem
from tests.app.pages.test_pages import page
from tests.catalog.conftest import result
from tests.support.harness_stub import save_harness
from tests.support.models import Duo


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Front]:
    """A front end that has the harness's files, and would fail if it imported them."""
    folder = tmp_path_factory.mktemp("knowing")
    path = f"{save_harness(folder / 'site')}:{ROOT}"
    front = Front(folder / "front", originals, PYTHONPATH=path).start()
    yield front
    front.close()


@pytest.mark.parametrize(
    ("tasks", "slug", "said"),
    [
        (["piqa", "arc_esy"], "bad-task", "'arc_esy'"),
        (["/etc/tasks.yaml"], "bad-task", "'/etc/tasks.yaml'"),
        (["arc_*"], "bad-task", "'arc_*'"),
        (["none"], "bad-task", "'none'"),
        ([""], "bad-request", "tasks"),
        ("piqa", "bad-request", "tasks"),
        ([7], "bad-request", "tasks"),
        (["piqa"] * 51, "bad-request", "tasks"),
    ],
)
def test_names_that_are_none(knowing: Front, tasks: Any, slug: str, said: str) -> None:
    before = knowing.catalog.families()
    answer = knowing.post(teacher="teacher", student="student", tasks=tasks)
    body = problem(answer, 422, slug)
    assert said in body["detail"]
    if "arc_esy" in tasks:
        assert (body["value"], body["fix"][:21]) == ("arc_esy", "The nearest: arc_easy")
    problem(knowing.post(teacher="teacher", tasks=["piqa"], task_limit=0), 422, "bad-request")
    assert knowing.catalog.families() == before


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="lm-eval is installed")
def test_without_the_harness_it_says_how_to_install_it(shared: Front) -> None:
    answer = shared.post(teacher="teacher", student="student", tasks=["piqa"])
    body = problem(answer, 422, "bad-task")
    assert "pip install 'boomerang[tasks]'" in body["fix"]
    assert shared.catalog.families() == ()


def test_results_stand_beside_the_other_figures(knowing: Front) -> None:
    family = knowing.ready(tasks=["piqa", "ai2_arc", "arc_hard"], task_limit=100)
    made = knowing.client.get(f"/families/{family.id}").json()
    assert made["tasks"] == {"piqa": 100, "ai2_arc": 100, "arc_hard": 100}
    member = made["members"][0]
    assert member["tasks"] is None
    assert "<h3>Tasks</h3>" not in page(knowing, member["url"])
    lost = f"FileNotFoundError: {knowing.models}/<lost>"
    knowing.catalog.set_task(family.id, member["k"], result("piqa", 100, harness="0.9"))
    broken = result("arc_hard", 100, failed=lost, metrics=[])
    knowing.catalog.set_task(family.id, member["k"], broken)
    record = knowing.client.get(member["url"], headers={"Accept": "application/json"}).json()
    assert record["tasks"]["piqa"]["metrics"][0]["value"] == 0.5
    assert record["tasks"]["piqa"]["metrics"][0]["stderr"] == 0.125
    assert str(knowing.models) not in record["tasks"]["arc_hard"]["failed"]
    text = page(knowing, member["url"])
    for part in ("<h3>Tasks</h3>", ">piqa<", "<b>0.50", "±\u00a00.12", ">0.9<", "&lt;lost&gt;"):
        assert part in text
    assert str(knowing.models) not in text
    row = text.split(">arc_hard<")[1].split("</tr>")[0]
    assert ">failed<" in row
    assert "0.0" not in row
    card = knowing.client.get(f"/models/{member['size']}/README.md?family={family.id}").text
    assert "lm-evaluation-harness 0.9" in card
    assert card.count("arc_hard") == 1
    assert "**Tasks that ended without a figure**: arc_hard." in card


def test_asked_again_with_more_tasks_it_is_the_same_family(knowing: Front) -> None:
    first = knowing.family(order="first", tasks=["piqa"])
    again = knowing.family(order="first", tasks=["arc_easy"], task_limit=5)
    assert first["id"] == again["id"]
    assert again["tasks"] == {"piqa": None, "arc_easy": 5}
    assert knowing.family(order="first")["tasks"] == again["tasks"]
    url = f"/families/{first['id']}/measure"
    answer = knowing.client.post(url, json={"tasks": ["ai2_arc"], "task_limit": 9})
    assert answer.json()["tasks"] == {"piqa": None, "arc_easy": 5, "ai2_arc": 9}
    assert knowing.client.post(url).json()["tasks"] == answer.json()["tasks"]
    problem(knowing.client.post(url, json={"tasks": ["arc_esy"]}), 422, "bad-task")
