"""Asking a running service from the command line: waiting, and what the exit status says."""

from collections.abc import Iterator
from typing import Any

import pytest

from boomerang.cli import progress
from boomerang.cli.demo import demo
from boomerang.cli.service.asking import show_progress
from boomerang.cli.service.client import Service
from tests.support.cli_stub import Stub, boomerang, error, family, listening, rebuilding, told

pytestmark = pytest.mark.slow("the command line follows a real service")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with listening(Stub()) as found:
        yield found


def test_request_asks_and_shows_what_the_budget_buys(stub: Stub) -> None:
    done = boomerang(
        "request", "t", "2K", "--data", "d", "--publish", "me", "--notify", "https://ci/hook",
        BOOMERANG_URL=stub.url, BOOMERANG_API_KEY="secret",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2K buys 1K: 1,000 parameters, 7 below it." in done.stdout
    asked = {"teacher": "t", "budget": "2K", "data": "d", "order": "auto",
             "publish": {"namespace": "me"}, "notify": "https://ci/hook"}  # fmt: skip
    assert stub.asked == [("POST", "/families", asked, "Bearer secret")]


def test_ones_own_token_is_sent_where_that_is_asked_for(stub: Stub) -> None:
    mine = "hf_" + "m" * 34
    asked = ("request", "t", "2K", "--publish", "me", "--gated", "auto")
    done = [
        boomerang(*asked, *more, BOOMERANG_URL=stub.url, HF_TOKEN=mine)
        for more in ((), ("--as-me",))
    ]
    assert [one.returncode for one in done] == [0, 0], done[1].stderr
    assert stub.tokens == [None, mine]
    assert stub.asked[1][2]["publish"] == {"namespace": "me", "gated": "auto"}
    # Not where others would read it on its way.
    refused = boomerang(*asked, "--as-me", BOOMERANG_URL="http://192.0.2.1", HF_TOKEN=mine)
    assert (refused.returncode, len(stub.tokens)) == (1, 2)
    assert "no https address" in refused.stderr
    assert mine not in refused.stderr + done[1].stdout + done[1].stderr
    assert boomerang("request", "t", "2K", "--as-me", BOOMERANG_URL=stub.url).returncode == 2


def test_request_asks_for_a_size_to_be_healed(stub: Stub) -> None:
    done = boomerang("request", "t", "2K", "--heal", "f9", BOOMERANG_URL=stub.url)
    assert done.returncode == 0, done.stderr
    asked = {"teacher": "t", "budget": "2K", "heal": {"family": "f9", "size": "2K"},
             "order": "auto"}  # fmt: skip
    assert stub.asked == [("POST", "/families", asked, None)]


def test_request_names_how_the_layers_to_keep_are_found(stub: Stub) -> None:
    stub.planned = {"ladder": "provisional"}
    done = boomerang("request", "t", "2K", "--map", "published", BOOMERANG_URL=stub.url)
    assert "provisional until the layers that the student keeps are measured" in done.stdout
    asked = {"teacher": "t", "budget": "2K", "order": "auto", "map": "published"}
    assert stub.asked == [("POST", "/families", asked, None)]
    assert boomerang("request", "t", "2K", "--map", "luck").returncode == 2


def test_the_demo_says_which_layers_are_kept_once_they_are_known(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.planned = {"ladder": "provisional"}
    ready = family("ready", "yes")
    known = {"kept": [0, 1, 3], "map_rule": "similarity", "map_reason": None}
    stub.states = [
        family("distilling", ladder="provisional"), ready | {"student": ready["student"] | known},
    ]  # fmt: skip
    with Service(stub.url) as service:
        demo.made(service, "kjv", print)
    said = capsys.readouterr().out
    assert said.index("These are provisional") < said.index(
        "The student keeps the teacher's layers 0, 1, 3 (by similarity)."
    )


def test_request_waits_until_it_is_made(stub: Stub) -> None:
    want = {"kind": "build", "what": "2K", "state": "running", "reason": None}
    stub.states = [
        family("distilling"),
        family("ready"),
        family("ready", "running"),
        family("ready", "yes", wants=[want]),
        family("ready", "yes", wants=[want | {"state": "yes"}]),
    ]
    made = told("request", "t", "2K", "--wait", "--url", stub.url)
    assert made["wants"][0]["state"] == "yes"
    assert made["budget"]["below_by"] == 7
    assert len(stub.states) == 1


def hashing(state: str, **more: Any) -> dict[str, Any]:
    return family(state, provisional=True, hashing={"done": 1, "total": 2}, **more)


@pytest.mark.long("the command line follows a real service")
def test_a_provisional_family_is_waited_for_under_its_first_id(stub: Stub) -> None:
    stub.states = [hashing("hashing"), hashing("hashing"), family("ready", "yes") | {"id": "f2"}]
    made = told("request", "t", "2K", "--wait", "--url", stub.url)
    assert made["id"] == "f2"
    assert "provisional" not in made
    assert made["budget"]["below_by"] == 7
    # To rebuild it is to make it.
    stub.states = [hashing("hashing"), hashing("hashing"), family("ready", "yes") | {"id": "f2"}]
    rebuilt = told("rebuild", "f1", "--wait", "--url", stub.url)["families"]
    assert rebuilt == [{"id": "f2", "state": "yes", "error": None, "report": None}]
    stub.states = [hashing("hashing"), hashing("failed")]
    assert "Hashing the files" in error("request", "t", "2K", "--wait", "--url", stub.url)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([family("distilling"), family("failed")], "failed"),
        ([family("cancelled")], "cancelled"),
        ([family("ready", "failed", measuring_reason="no text")], "no text"),
    ],
)
def test_request_fails_when_it_is_not_made(
    stub: Stub, states: list[dict[str, Any]], said: str
) -> None:
    stub.states = states
    assert said in error("request", "t", "2K", "--wait", "--url", stub.url)


def test_a_problem_of_the_service_is_one_line(stub: Stub) -> None:
    stub.problem = (422, {"detail": "Too small.", "value": 1, "fix": "Ask for\nmore."})
    assert error("request", "t", "1", "--url", stub.url) == "error: Too small. Ask for more."


def test_a_service_that_waits_for_the_hub_is_asked_again_when_it_says(stub: Stub) -> None:
    stub.busy = 2
    assert told("request", "t", "2K", "--url", stub.url)["id"] == "f1"
    assert [line[:2] for line in stub.asked] == [("POST", "/families")] * 3


def test_a_service_that_is_not_there_is_one_line() -> None:
    assert "127.0.0.1:9" in error("request", "t", "1", "--url", "http://127.0.0.1:9")
    assert "no address" in error("request", "t", "1", "--url", "nonsense")
    assert "no address" in error("rebuild", "--all", "--url", "http://[")


def test_rebuild_waits_until_it_is_over_and_prints_what_it_found(stub: Stub) -> None:
    stub.states = [family("ready", "yes")]
    mended = {"kind": "folder", "name": "1K", "found": "a bit", "reason": "built again"}
    over = rebuilding("yes", mended=[mended])
    stub.rebuilds = [rebuilding("no"), rebuilding("running"), over]
    done = told("rebuild", "f1", "--wait", "--url", stub.url)
    assert done == {
        "families": [{"id": "f1", "state": "yes", "error": None, "report": over["report"]}]
    }
    assert stub.asked[0][1:3] == ("/families/f1/rebuild", {"force": False})
    stub.rebuilds = [over]
    shown = boomerang("rebuild", "f1", "--wait", "--force", "--url", stub.url)
    assert (shown.returncode, shown.stdout.splitlines()) == (0, [
        "f1: whole",
        "  looked at: teachers 1, students 1, members 1, folders 1, repositories 1; "
        "read 1,234,567 bytes",
        "  mended: folder 1K: a bit; built again",
    ])  # fmt: skip


def test_a_rebuild_after_which_something_is_not_whole_is_status_1(stub: Stub) -> None:
    stub.states = [family("failed")]
    unseen = {"kind": "repository", "name": "me/t-1K", "found": None, "reason": "The Hub is away"}
    stub.rebuilds = [
        rebuilding("failed", "not whole: repository me/t-1K", unseen=[unseen]), rebuilding("yes"),
    ]  # fmt: skip
    done = boomerang("rebuild", "--all", "--wait", "--url", stub.url)
    assert done.returncode == 1
    # One that fails keeps no other from being waited for.
    assert "f1: not whole: repository me/t-1K\n" in done.stdout
    assert "  not looked at: repository me/t-1K: The Hub is away\n" in done.stdout
    assert "f2: whole\n" in done.stdout


def test_rebuild_all_asks_once_and_for_each_where_it_is_forced(stub: Stub) -> None:
    stub.states = [family("ready", "yes")]
    assert boomerang("rebuild", "--all", "--url", stub.url).returncode == 0
    assert boomerang("rebuild", "--all", "--force", "--url", stub.url).returncode == 0
    posted = [path for method, path, *_ in stub.asked if method == "POST"]
    assert posted == ["/rebuilds", "/families/f1/rebuild", "/families/f2/rebuild"]


def test_each_part_of_the_work_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Bar("measuring") as bar:
        for spent in (1, 2):
            bar.part("choosing")
            bar.left(spent, 9, f"{spent} of 9", None)
        bar.part("measuring")
        bar.left(64, 128, "64 of 128 tokens", 90.4)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if " of " in line and "━" not in line] == [
        "choosing  1 of 9", "measuring  64 of 128 tokens  1 min 30 s left",
    ]  # fmt: skip


def test_progress_is_told_without_a_terminal_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    distilling = family("distilling")
    distilling["student"] |= {"step": 3, "steps": 300, "loss": 1.5, "eta_s": 90.0}
    measuring = family("ready", "running") | {"measuring_reason": "measuring, so far 1,024 tokens"}
    with progress.Bar("queued") as bar:
        show_progress(bar, distilling)
        show_progress(bar, measuring)
    said = capsys.readouterr().err.splitlines()
    assert "distilling  step 3/300  loss 1.500  1 min 30 s left" in said
    assert "measuring, so far 1,024 tokens  0/1" in said
