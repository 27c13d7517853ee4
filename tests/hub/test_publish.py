"""From a request to a model on the Hub: real queue, real worker, real client, real sockets."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boomerang.catalog.records.states import Fact
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.jobs import QUEUES
from boomerang.service.running.parts import valkey, valkey_url, worker_command
from boomerang.service.settings import Settings
from tests.app.conftest import Front, database, hub, make_front, originals
from tests.local_hub.fixture import OWNER, LocalHub, run_client
from tests.workers.conftest import wait_for

__all__ = ["database", "hub", "make_front", "originals"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[Daemon], Daemon]]:
    import threading

    started: list[Daemon] = []

    def start(child: Daemon) -> Daemon:
        child.start()
        started.append(child)
        assert child.wait_until_healthy(60, threading.Event()), child.log.read_text()
        return child

    yield start
    for child in reversed(started):
        child.stop()


@pytest.mark.slow("a member is pushed by the real client and loaded by transformers")
@pytest.mark.parametrize(
    "xet",
    [
        pytest.param(True, id="xet"),
        pytest.param(False, id="lfs", marks=pytest.mark.long("the same once more, by LFS")),
    ],
)
def test_a_member_is_published_and_loads(
    xet: bool,
    tmp_path: Path,
    hub: LocalHub,
    run: Callable[[Daemon], Daemon],
    make_front: Callable[..., Front],
) -> None:
    queue = Settings(home=tmp_path / "queue")
    run(valkey(queue))
    front = make_front(
        BOOMERANG_REDIS_URL=valkey_url(queue), HF_ENDPOINT=hub.url, HF_TOKEN=OWNER,
        HF_HUB_DISABLE_XET="0" if xet else "1", HF_HUB_DISABLE_PROGRESS_BARS="1",
        BOOMERANG_REAP_SECONDS="0.3", OMP_NUM_THREADS="1",
    )  # fmt: skip
    worker = Daemon(
        name="worker",
        arguments=worker_command("publisher", QUEUES, 1, "INFO"),
        log=tmp_path / "worker.log",
        environment=front.environment,
        ready_line=READY,
    )
    run(worker)
    made = front.family(budget="1T", publish={"namespace": "family", "collection": "Ours"})

    def done() -> bool:
        request = front.catalog.requests(made["id"])[0]
        assert request.state is not Fact.FAILED, request.reason
        return request.state is Fact.YES

    wait_for(done, 60)
    large = front.catalog.members(made["id"])[-1]
    repo = f"family/teacher-{large.size}"
    assert (large.repo, large.published, large.built) == (repo, Fact.YES, Fact.NO)
    assert hub.store.repos[repo].private
    assert large.commit == hub.store.repos[repo].at("main").oid
    files = hub.files(repo)
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    card = files["README.md"].decode()
    assert f'"{repo}"' in card
    assert str(tmp_path) not in card + files["boomerang.json"].decode()
    ways = [line for line in hub.lines() if ("xet-write-token" if xet else "lfs/objects") in line]
    assert ways
    assert hub.store.collections
    code = f"""
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
published = AutoModelForCausalLM.from_pretrained({repo!r})
teacher = AutoModelForCausalLM.from_pretrained({str(front.models / "teacher")!r})
ids = torch.arange(20)[None]
with torch.no_grad():
    assert torch.equal(published(ids).logits, teacher(ids).logits)
print(AutoTokenizer.from_pretrained({repo!r}).decode([4, 5]))
"""
    assert run_client(code, hub.url, xet=xet).strip() == "the beginning"
    # Nothing of it is there for anybody else.
    assert run_client(
        f"from huggingface_hub import HfApi; print(HfApi().repo_exists({repo!r}))",
        hub.url, token=None,
    ).strip() == "False"  # fmt: skip
    if not xet:
        return
    # Built as a folder it is what is streamed, card and all.
    front.family(sizes=[large.size])
    wait_for(lambda: front.catalog.member(made["id"], large.k).built is Fact.YES, 40)
    folder = front.settings.member_folder(large.digest)
    for path in folder.iterdir():
        assert front.client.get(f"/models/{large.size}/{path.name}").content == path.read_bytes()
    assert json.loads((folder / "boomerang.json").read_text())["size"] == large.size
