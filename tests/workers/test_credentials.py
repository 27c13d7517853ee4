"""Publishing as whoever asked: each into a namespace of its own, and no token anywhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact
from boomerang.errors import BadRequest
from boomerang.hub import rights
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.credentials import GONE, seal
from boomerang.service.jobs import QUEUES
from boomerang.service.running.parts import socket_path, valkey, valkey_url, worker_command
from boomerang.service.settings import Settings
from tests.app.conftest import Front, database, make_front, originals, problem
from tests.hub.test_publish import run
from tests.local_hub.accounts import GUEST, OWNER
from tests.local_hub.fixture import LocalHub
from tests.workers.conftest import wait_for
from tests.workers.models.test_members import context, family
from tests.workers.models.test_publications import done, hub
from workers.context import Context
from workers.measure import measure
from workers.publish import publish
from workers.settle import settle

__all__ = ["context", "database", "hub", "make_front", "originals", "run"]

SECRET = "0123456789abcdef" * 2


@pytest.fixture
def there(context: Context, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(rights, "_known", {})
    more: dict[str, Any] = {"hub_endpoint": hub.url, "secret": SecretStr(SECRET)}
    return replace(context, settings=context.settings.model_copy(update=more))


def as_guest(there: Context, namespace: str = "guest", **options: Any) -> dict[str, Any]:
    """What a request of the guest's brings: its options name the token that is kept with it."""
    credential = seal(there.settings, GUEST)
    named = {"namespace": namespace, "credential": credential.id, **options}
    return {"requests": [NewRequest(kind="publish", what="1.0G", options=named)],
            "credential": credential}  # fmt: skip


def ask(there: Context, made: Any, requests: list[NewRequest], credential: Any) -> None:
    student = there.catalog.student(made.student)
    there.catalog.create_family(made, student, (), requests, credential=credential)


def writers(hub: LocalHub, repo: str) -> set[str]:
    """The tokens of the requests that changed a repository."""
    return {
        asked.headers["authorization"].removeprefix("Bearer ")
        for asked in hub.asked
        if repo in asked.path and asked.method in ("POST", "PUT")
    }


@pytest.mark.long("real workers publish for two users")
def test_each_publishes_into_its_own_and_no_token_is_left_anywhere(
    tmp_path: Path, hub: LocalHub, run: Callable[[Daemon], Daemon], make_front: Callable[..., Front]
) -> None:
    queue = Settings(home=tmp_path / "queue")
    run(valkey(queue))
    front = make_front(
        BOOMERANG_REDIS_URL=valkey_url(queue), HF_ENDPOINT=hub.url, HF_TOKEN=OWNER,
        HF_HUB_DISABLE_PROGRESS_BARS="1", BOOMERANG_REAP_SECONDS="0.3", OMP_NUM_THREADS="1",
        BOOMERANG_SECRET=SECRET,
    )  # fmt: skip
    asked = {"teacher": "teacher", "student": "student", "order": "last", "budget": "1T"}
    own = {"X-Hub-Token": GUEST}

    def post(publish: dict[str, Any], headers: dict[str, str]) -> Any:
        return front.client.post("/families", json={**asked, "publish": publish}, headers=headers)

    refused = post({"namespace": "family"}, own)
    assert "'guest'" in problem(refused, 403, "namespace")["detail"]
    assert front.catalog.families() == ()
    answers = [post({}, own), post({"namespace": "team"}, {}), post({}, own)]
    assert [answer.status_code for answer in answers] == [202] * 3
    id_ = answers[0].json()["id"]
    theirs, ours = front.catalog.requests(id_)
    assert (theirs.options["namespace"], ours.options["namespace"]) == ("guest", "team")
    assert front.catalog.credential(theirs.options["credential"]) is not None
    assert answers[2].json()["wants"][0]["options"]["own_token"] is True
    # What waits in the queue is what workers are told.
    with Redis(unix_socket_path=str(socket_path(queue))) as waiting:
        told = b"".join(waiting.lrange(key, 0, -1)[0] for key in (b"assemble", b"measure")
                        if waiting.exists(key))  # fmt: skip
    worker = Daemon(
        name="worker", arguments=worker_command("publisher", QUEUES, 1, "DEBUG"),
        log=tmp_path / "worker.log", environment=front.environment, ready_line=READY,
    )  # fmt: skip
    run(worker)
    wait_for(lambda: {one.state for one in front.catalog.requests(id_)} == {Fact.YES}, 90)
    size = front.catalog.members(id_)[-1].size
    assert writers(hub, f"guest/teacher-{size}") == {GUEST}
    assert writers(hub, f"team/teacher-{size}") == {OWNER}
    assert front.catalog.credential(theirs.options["credential"]) is None
    said = [answer.text for answer in answers] + [refused.text]
    with front.client.stream("GET", f"/families/{id_}/events") as events:
        said.append(next(events.iter_text()))
    said += [front.client.get(path).text for path in ("/families", "/", "/metrics")]
    assert all(GUEST not in text for text in said)
    token = GUEST.encode()
    assert token not in told
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_relative_to(tmp_path / "hub"):
            assert token not in path.read_bytes(), path


def test_a_card_is_renewed_with_the_token_that_published_it_or_not_at_all(
    there: Context, hub: LocalHub
) -> None:
    made = family(there)
    ask(there, made, **as_guest(there))
    measure(there, made.id)
    (first,) = done(there)
    assert first.repo.startswith("guest/")
    assert writers(hub, first.repo) == {GUEST}
    before = hub.files(first.repo)["README.md"]
    there.catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    assert settle(there, made.id) == "0 sent"
    member = there.catalog.member(made.id, first.k)
    assert (member.published, member.published_reason) == (Fact.YES, " ".join(GONE))
    assert hub.files(first.repo)["README.md"] == before
    # Who comes again with it has the card renewed.
    ask(there, made, **as_guest(there))
    settle(there, made.id)
    assert [job.repo for job in done(there)] == [first.repo]
    assert b"7.25" in hub.files(first.repo)["README.md"]
    assert there.catalog.member(made.id, first.k).published_reason is None
    assert writers(hub, first.repo) == {GUEST}


@pytest.mark.parametrize("why", ["gone", "another secret", "not allowed", "no right"])
def test_without_its_token_or_right_nothing_is_published(
    there: Context, hub: LocalHub, why: str
) -> None:
    made = family(there)
    ask(there, made, **as_guest(there, "family" if why == "no right" else "guest"))
    if why == "gone":
        with there.catalog.db.write() as session:
            from boomerang.catalog.tables import CredentialRow

            session.query(CredentialRow).delete()
    changed = {"another secret": {"secret": SecretStr(SECRET[::-1])},
               "not allowed": {"namespaces": "me, team"}}.get(why, {})  # fmt: skip
    settings = there.settings.model_copy(update=changed)
    worker = replace(there, settings=settings)
    measure(worker, made.id)
    (job,) = worker.producer.sent  # type: ignore[attr-defined]
    assert publish(worker, made.id, **job.model_dump(exclude={"family"})) == "failed"
    (request,) = there.catalog.requests(made.id)
    assert request.state is Fact.FAILED
    said = {"gone": GONE[0], "another secret": "BOOMERANG_SECRET", "not allowed": "me, team",
            "no right": "may in guest, team"}[why]  # fmt: skip
    assert said in str(request.reason)
    assert hub.store.repos == {}
    assert GUEST not in str(request.reason)
    assert there.catalog.credential(request.options["credential"]) is None


def test_a_gated_teachers_member_is_shown_behind_a_gate_where_that_was_asked_for(
    there: Context, hub: LocalHub
) -> None:
    made = family(there, gated=True)
    options = {"namespace": "me", "private": False, "gated": "manual"}
    there.catalog.add_requests(made.id, [NewRequest(kind="publish", what="1.0G", options=options)])
    measure(there, made.id)
    (job,) = done(there)
    assert hub.store.repos[job.repo].seen == [(True, False), (False, "manual")]
    # Its card is renewed, and the gate stays.
    there.catalog.set_fact(made.id, job.k, "measured", Fact.YES, perplexity=7.25)
    settle(there, made.id)
    assert len(done(there)) == 1
    assert hub.store.repos[job.repo].seen == [(True, False), (False, "manual")]


def test_what_is_no_token_is_refused_without_being_quoted(there: Context) -> None:
    for token in ("", "short", "two words of it", "hf_\x00" + "x" * 40, "x" * 5000):
        with pytest.raises(BadRequest) as caught:
            seal(there.settings, token)
        assert not token or token not in str(caught.value)
    plain = there.settings.model_copy(update={"secret": SecretStr("")})
    with pytest.raises(BadRequest, match="BOOMERANG_SECRET"):
        seal(plain, GUEST)
    # The same token has the same name, and looks otherwise each time.
    one, two = seal(there.settings, GUEST), seal(there.settings, GUEST)
    assert one.id == two.id
    assert one.sealed != two.sealed
    assert GUEST not in one.id + one.sealed
