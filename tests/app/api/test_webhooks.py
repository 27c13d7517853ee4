"""What the Hub tells of a teacher, and whom a request may have told."""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, Lease
from tests.app.conftest import Front, problem
from tests.local_hub.fixture import LocalHub
from tests.support.models import Duo
from tests.support.outbox import Outbox
from tests.support.receiver import SECRET as KEY
from workers.context import Context
from workers.hooks.following import follow

pytestmark = pytest.mark.slow("front ends that share a catalog")

SECRET = {"X-Webhook-Secret": "s3cret"}
FIRST, SECOND, THIRD, LAST = (digit * 40 for digit in "1234")


def told(old: str | None, new: str | None, ref: str = "refs/heads/main", **repo: str) -> Any:
    """A webhook as the Hub sends it."""
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": "org/Teacher", "private": False, "headSha": new} | repo,
        "updatedRefs": [{"ref": ref, "oldSha": old, "newSha": new}],
        "webhook": {"id": "6", "version": 3},
    }


def send(front: Front, payload: Any) -> dict[str, Any]:
    answer = front.client.post("/webhooks/hub", json=payload, headers=SECRET)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def nothing(front: Front, payload: Any, why: str) -> None:
    """What was told is accepted, changes nothing, and is answered with why."""
    before = front.catalog.families(), front.catalog.last_event()
    answer = send(front, payload)
    assert (answer["outdated"], answer["rebuilt"]) == ([], [])
    assert why in " ".join(answer["ignored"])
    assert (front.catalog.families(), front.catalog.last_event()) == before


def commit(hub: LocalHub, message: str, **files: bytes | None) -> str:
    """A new commit of the teacher's main branch; a file without content is gone."""
    repo = hub.store.repos["org/Teacher"]
    there = dict(repo.at("main").files)
    for name, content in files.items():
        if content is None:
            there = {path: one for path, one in there.items() if not path.startswith(name)}
        else:
            there[name] = hub.store.add(name, content)
    return str(repo.commit("main", message, there).oid)


@pytest.mark.long("front ends that share a catalog")
def test_a_new_commit_outdates_what_follows_it_once(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo
) -> None:
    hub.add_repo("org/Teacher", originals.teacher_folder)
    front = make_front(HF_ENDPOINT=hub.url, BOOMERANG_WEBHOOK_SECRET="s3cret")
    address = front.settings.database_url
    other = make_front(BOOMERANG_DATABASE_URL=address, BOOMERANG_WEBHOOK_SECRET="s3cret")
    asked: dict[str, Any] = {"teacher": "org/Teacher", "data": "texts", "budget": "16K"}
    first = front.post(**asked).json()
    pinned = front.post(**asked, revision=first["commit"], order="last").json()
    for headers in ({}, {"X-Webhook-Secret": "wrong"}, {"X-Webhook-Secret": "é".encode()}):
        refused = front.client.post("/webhooks/hub", json=told(None, SECOND), headers=headers)
        problem(refused, 401, "webhook")
    # Of no teacher, of no branch that anything follows, gone, ours.
    nothing(front, told(FIRST, SECOND, type="dataset"), "No teacher is a dataset")
    nothing(front, told(FIRST, SECOND, name="org/Nobody"), "No family follows")
    nothing(front, told(FIRST, SECOND, "refs/pr/7"), "No family follows refs/pr/7")
    nothing(front, told(FIRST, SECOND, "refs/heads/dev"), "No family follows refs/heads/dev")
    nothing(front, told(FIRST, None), "was deleted")
    nothing(front, told(FIRST, SECOND) | {"updatedRefs": []}, "No branch moved")
    nothing(front, {"repo": {"type": "model", "name": "org/Teacher"}}, "No branch moved")
    # Which one is said, as this machine does not ask the Hub.
    second = commit(hub, "a licence", LICENSE=b"new")
    assert send(front, told(first["commit"], second)) == {
        "outdated": [first["id"]], "rebuilt": [], "ignored": [],
    }  # fmt: skip
    shown = front.client.get(f"/families/{first['id']}").json()
    assert (shown["outdated"], shown["successor"]) == (second, None)
    assert front.client.get(f"/families/{pinned['id']}").json()["outdated"] is None
    assert 'boomerang_things{kind="families_outdated"} 1.0' in front.client.get("/metrics").text
    events = [event.payload for event in front.catalog.events_after(0, first["id"])]
    assert {"state": "outdated", "commit": second} in events
    assert front.catalog.reap(1e9, 3) == ()

    # Told again, to another front end and after a restart; and what came before, afterwards.
    nothing(other, told(first["commit"], second), "is known")
    front.stop()
    front.start()
    nothing(front, told(first["commit"], second), "is known")
    nothing(other, told(FIRST, first["commit"]), "has moved on")
    assert send(other, told(second, THIRD))["outdated"] == [first["id"]]
    nothing(front, told(first["commit"], second), "is known")
    assert front.client.get(f"/families/{first['id']}").json()["outdated"] == THIRD
    # Forced back to a commit from before: what is of it is outdated no more.
    assert send(front, told(THIRD, first["commit"]))["outdated"] == []
    assert front.client.get(f"/families/{first['id']}").json()["outdated"] is None
    nothing(other, told(second, THIRD), "is known")
    assert send(front, told(first["commit"], LAST))["outdated"] == [first["id"]]
    # What this service pushed itself outdates nothing.
    ours = Publication(repo="org/Teacher", family=first["id"], private=True, card="c")
    front.catalog.set_publication(ours)
    nothing(front, told(LAST, "5" * 40), "was published by this service")


@pytest.mark.long("front ends that share a catalog")
def test_a_family_is_made_anew_where_the_setting_says_so(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo
) -> None:
    hub.add_repo("org/Teacher", originals.teacher_folder)
    front = make_front(
        HF_ENDPOINT=hub.url, BOOMERANG_WEBHOOK_SECRET="s3cret", BOOMERANG_FOLLOW="rebuild"
    )
    asked: dict[str, Any] = {"teacher": "org/Teacher", "data": "texts", "budget": "16K"}
    first, stopped = front.post(**asked).json(), front.post(**asked, order="first").json()
    front.client.post(f"/families/{stopped['id']}/cancel")
    second = commit(hub, "a licence", LICENSE=b"new")
    answer = send(front, told(first["commit"], second))
    assert set(answer["outdated"]) == {first["id"], stopped["id"]}
    # What somebody put an end to is not begun anew by somebody else's commit.
    assert answer["rebuilt"] == [first["id"]]
    outbox = Outbox()
    context = Context(front.settings, front.catalog, outbox)

    def due() -> list[Due]:
        return [one for one in front.catalog.reap(60, 3) if one.job == "follow"]

    # The first worker dies over it; the message of the second is lost.
    assert due() == [Due("follow", first["id"])]
    assert front.catalog.lease_acquire(f"follow:{first['id']}", "dead", -1) is not None
    assert due() == []
    later = front.catalog.lease_acquire(f"follow:{first['id']}", "other", 60)
    assert isinstance(later, Lease)
    assert follow(context, first["id"]) == "already running"
    front.catalog.lease_release(later)
    assert follow(context, first["id"]) == "followed"
    assert follow(context, first["id"]) == "not wanted"
    (made,) = {one.id for one in front.catalog.families()} - {first["id"], stopped["id"]}
    assert front.catalog.family(made).commit == second
    assert [request.what for request in front.catalog.requests(made)] == ["16K"]
    assert [job.task for job in outbox.sent] == ["boomerang.distill"]
    # The old one is as it was, and says where to go on.
    shown = front.client.get(f"/families/{first['id']}").json()
    assert (shown["commit"], shown["outdated"]) == (first["commit"], second)
    assert shown["successor"] == made
    page = front.client.get(f"/families/{first['id']}", headers={"Accept": "text/html"}).text
    assert f'href="/families/{made}"' in page
    (listed,) = (
        one for one in front.client.get("/families").json()["families"] if one["id"] == first["id"]
    )
    assert listed["successor"] == made
    nothing(front, told(first["commit"], second), "is known")
    # A commit that is of no use leaves all of them as they are, and says why.
    third = commit(hub, "no weights", model=None)
    assert set(send(front, told(second, third))["rebuilt"]) == {first["id"], made}
    assert follow(context, made) == "failed"
    told_of = [event.payload for event in front.catalog.events_after(0, made)][-1]
    assert told_of["state"] == "not-followed"
    assert told_of["reason"]
    assert len(front.catalog.families()) == 3
    # A Hub that is away for a while is waited for.
    hub.refuse("/api/models/org/Teacher", 503, times=99)
    assert follow(context, first["id"]) == "again"
    assert front.catalog.following(first["id"]) is not None


def test_a_request_names_who_is_told_among_the_hosts_that_are_listed(
    make_front: Callable[..., Front],
) -> None:
    front = make_front(BOOMERANG_NOTIFY_HOSTS="ci.example.org", BOOMERANG_NOTIFY_SECRET=KEY)
    asked: dict[str, Any] = {"teacher": "teacher", "student": "student", "order": "last"}
    url = "https://ci.example.org/hook?key=hush"
    refused = front.post(**asked, notify="https://10.0.0.1/hook")
    assert problem(refused, 422, "bad-request")["value"] == "https://10.0.0.1/hook"
    assert front.catalog.families() == ()
    made = front.post(**asked, notify=url)
    assert made.status_code == 202, made.text
    id_ = made.json()["id"]
    family = front.settle(id_)
    front.catalog.set_measuring(family.id, Fact.NO, "no text")
    # Whoever asks for the same without naming anybody changes nothing, and is told of nobody.
    again = front.post(**asked).json()
    notice = front.catalog.next_notice("ci.example.org")
    assert notice is not None
    assert (notice.kind, notice.family, notice.url) == ("family.ready", family.id, url)
    shown = [made.text, front.client.get("/families").text, str(again)]
    shown += [front.client.get(f"/families/{id_}", headers={"Accept": "text/html"}).text]
    assert "hush" not in "".join(shown)
    assert "notify" not in front.catalog.family(family.id).request
    assert "hush" not in front.log.read_text()
    events = front.catalog.events_after(0, id_)
    assert {"state": "ready", "reason": "no text"} in [event.payload for event in events]
    plain = make_front()
    assert "tells nobody" in problem(plain.post(**asked, notify=url), 422, "bad-request")["detail"]
