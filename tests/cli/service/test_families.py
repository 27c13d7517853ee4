"""Commands about the families of a service, against a real front end."""

import json
from collections.abc import Callable

import pytest

from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import Fact
from boomerang.cli.service import families
from boomerang.cli.service.client import Service
from boomerang.errors import BadRequest
from tests.app.conftest import Front
from tests.support.cli_stub import boomerang, error, told

pytestmark = pytest.mark.slow("the command line as a process, beside a front end")


@pytest.fixture(scope="module")
def ready(shared: Front) -> Family:
    return shared.ready()


def test_families_are_listed_and_found_by_state_and_text(shared: Front, ready: Family) -> None:
    other = shared.queued()
    found = told("families", BOOMERANG_URL=shared.base)
    assert {one["id"] for one in found["families"]} == {ready.id, other["id"]}
    assert not found["more"]
    shown = boomerang("families", "--state", "queued", "--limit", "1", BOOMERANG_URL=shared.base)
    assert shown.returncode == 0, shown.stderr
    assert other["id"] in shown.stdout
    assert ready.id not in shown.stdout
    with Service(shared.base) as service:
        assert families.listed(service, 100, q="no such name")["families"] == []
        first = families.listed(service, 1)
        assert (len(first["families"]), first["more"]) == (1, True)
        assert families.named(service, ready.id) == ready.id
        # A name is as good as an id, where it is one family's.
        with pytest.raises(BadRequest, match="2 families are called 'teacher'"):
            families.named(service, "teacher")
        with pytest.raises(BadRequest, match="No families are called 'nobody'"):
            families.named(service, "nobody")


@pytest.mark.long("the command line as a process, beside a front end")
def test_a_family_is_shown_cancelled_and_deleted(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="secret")
    family = front.queued()["id"]
    front.ready()
    asked = {"BOOMERANG_URL": front.base, "BOOMERANG_API_KEY": "secret"}
    assert told("show", family, **asked)["student"]["state"] == "queued"
    with Service(front.base, "secret") as service:
        assert len(families.listed(service, 9, mine="true")["families"]) == 2
    done = boomerang("cancel", family, **asked)
    assert (done.returncode, done.stdout) == (0, f"{family}  teacher: cancelled\n")
    # Nobody can be asked here, and nothing is done.
    refused = boomerang("delete", family, **asked)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    gone = told("delete", family, "--yes", **asked)
    assert (gone["family"], gone["built"], gone["repositories"]) == (family, 0, [])
    assert "no family" in error("show", family, **asked)
    assert "key" in error("show", family, BOOMERANG_URL=front.base).casefold()


def test_what_deleting_costs_is_said(shared: Front, ready: Family) -> None:
    with Service(shared.base) as service:
        said = families.costs_view(service.get(f"/families/{ready.id}/delete"))
    count = len(shared.catalog.members(ready.id))
    assert f"{count} sizes, of which 0 are built and 0 measured." in said
    assert "Its student stays for whoever asks again." in said


def test_events_are_told_once_and_followed_until_nothing_is_left(
    make_front: Callable[..., Front],
) -> None:
    front = make_front()
    family = front.family()["id"]
    lines = boomerang("events", family, BOOMERANG_URL=front.base).stdout.splitlines()
    assert any("The family was asked for" in line for line in lines)
    settled = front.settle(family)
    front.catalog.set_measuring(settled.id, Fact.RUNNING)
    front.catalog.set_measuring(settled.id, Fact.YES)
    shown = boomerang("events", family, "--follow", "--json", BOOMERANG_URL=front.base)
    assert shown.returncode == 0, shown.stderr
    told_ = [json.loads(line) for line in shown.stdout.splitlines()]
    ids = [one["id"] for one in told_]
    assert ids == [one.id for one in front.catalog.events_after(0, settled.id)]
    rest = boomerang(
        "events", family, "--follow", "--json", "--after", ids[-3], BOOMERANG_URL=front.base
    ).stdout.splitlines()
    assert [json.loads(line)["id"] for line in rest] == ids[-2:]
