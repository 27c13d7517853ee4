"""One id from the request to the task to the trainer, also where the reaper sends the job again."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.watching.conftest import Service
from tests.workers.conftest import wait_for


def of(log: Path, id_: str) -> list[dict[str, Any]]:
    found = [json.loads(one) for one in log.read_text().splitlines() if one.startswith("{")]
    return [one for one in found if one.get("request_id") == id_]


@pytest.mark.long("a whole service: front end, queue, worker and trainer as processes")
def test_one_id_from_the_request_to_the_trainer(service: Service) -> None:
    front = service.front
    asked = {"teacher": "teacher", "data": "texts", "order": "last", "map": "published"}

    def ask(id_: str, **more: str) -> str:
        answer = front.client.post("/families", json=asked | more, headers={"X-Request-ID": id_})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["student"]["key"])

    lost = ask("the-message-was-lost")
    service.broker.flushall()
    worker = service.worker()
    sent = ask("sent-and-taken", recipe="default")
    for key, id_ in ((lost, "the-message-was-lost"), (sent, "sent-and-taken")):
        wait_for(lambda key=key: front.catalog.student(key).state == "ready", 60)
        stderr = front.settings.run_folder(key) / "stderr.log"
        assert [one["event"] for one in of(stderr, id_)] == ["begun"]
        assert any(one.get("route") == "/families" for one in of(front.log, id_))
        wait_for(
            lambda key=key, id_=id_: any(
                one["event"].startswith("distill is over") and one["subject"] == key
                for one in of(worker.log, id_)
            )
        )
        mine = [one for one in of(worker.log, id_) if one.get("subject") == key]
        assert {"distill begins", "distill is over: ready"} <= {one["event"] for one in mine}
        assert any(one.get("child") == "trainer" for one in mine)
