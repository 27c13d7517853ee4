"""Every part is told, whatever becomes of another; no secret is."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor import set_up
from boomerang.service.upkeep.doctor.examining import Look, examine
from boomerang.service.upkeep.doctor.finding import Finding, ok
from tests.support.cli_stub import boomerang, told

HIDDEN = "hidden-word-of-sixty-characters-that-nobody-may-read-anywhere"


def settings(**more: object) -> Settings:
    return Settings(home=Path("/nowhere"), **more)  # type: ignore[arg-type]


def test_what_hangs_or_breaks_hides_no_other() -> None:
    over = threading.Event()

    def hangs(_: Settings) -> Iterator[Finding]:
        yield ok("first", "It came before.")
        over.wait(30)

    def breaks(_: Settings) -> Iterator[Finding]:
        raise RuntimeError(HIDDEN)

    looks = [
        Look("hangs", hangs, 0.3),
        Look("breaks", breaks),
        Look("fine", lambda _: [ok("x", "")]),
    ]
    found = examine(settings(), looks)
    over.set()
    assert [(one.name, one.state) for one in found] == [
        ("first", "ok"), ("hangs", "fail"), ("breaks", "fail"), ("x", "ok"),
    ]  # fmt: skip
    assert "did not answer within 0.3 s" in found[1].said
    assert HIDDEN not in repr(found)


@pytest.mark.parametrize(
    "given",
    [
        {"secret": HIDDEN}, {"api_keys": f"build:{HIDDEN}"}, {"webhook_secret": HIDDEN},
        {"database_url": f"postgresql://me:{HIDDEN}@host/x"}, {"redis_url": f"redis://:{HIDDEN}@h"},
    ],
)  # fmt: skip
def test_no_finding_names_a_secret(given: dict[str, str]) -> None:
    def tells(_: Settings) -> Iterator[Finding]:
        yield ok("x", f"It is {HIDDEN}.", {"it": [HIDDEN]})

    [one] = examine(settings(**given), [Look("x", tells)])
    assert (one.said, one.value) == ("It is ….", {"it": ["…"]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, {"settings": "fail", "secret": "warn", "public address": "warn"}),
        ({"api_keys": "short,build:sha256$" + "a" * 64}, {"keys": "warn"}),
        ({"public_url": "http://example.org"}, {"public address": "warn"}),
        ({"public_url": "example.org"}, {"public address": "fail"}),
        ({"public_url": "https://example.org"}, {"public address": "ok"}),
        ({"webhook_secret": "short"}, {"webhooks": "warn"}),
        ({"models": "/nowhere/at/all"}, {"models": "fail"}),
    ],
)
def test_what_is_said_of_settings(given: dict[str, str], said: dict[str, str]) -> None:
    found = {one.name: one.state for one in set_up.settings_of(settings(**given))}
    assert {"settings": "ok"} | said == {k: v for k, v in found.items() if k != "environment"}


def test_a_name_that_nothing_reads_is_told() -> None:
    given = ("BOOMERANG_HOME", "BOOMERANG_URL", "BOOMERANG_HOEM", "HOEM")
    assert set_up.unknown_names(dict.fromkeys(given, "")) == ["BOOMERANG_HOEM"]


@pytest.mark.long("the command line as a process, a few times")
def test_the_command_tells_it_and_its_status_is_1_where_something_does_not_work(
    tmp_path: Path,
) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('torch')")
    here = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[4]}",
            "BOOMERANG_HOME": str(tmp_path / "home")}  # fmt: skip
    found = told("doctor", **here)
    assert found["ok"]
    names = [one["name"] for one in found["findings"]]
    assert {"settings", "catalog", "queue", "home", "disk", "hub", "gpu", "open files"} <= set(
        names
    )
    done = boomerang("doctor", BOOMERANG_REDIS_URL=f"redis://:{HIDDEN}@127.0.0.1:1/0", **here)
    assert done.returncode == 1
    assert "fail  queue: It does not answer" in done.stdout
    assert HIDDEN not in done.stdout + done.stderr
    wrong = boomerang("doctor", "--json", BOOMERANG_PORT="many", **here)
    assert (wrong.returncode, "BOOMERANG_PORT" in wrong.stdout) == (1, True)
