"""A family whose teacher's weights stay on the Hub: app → Hub → bytes, over real sockets."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import StudentState
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair
from boomerang.service.models import pairs
from boomerang.service.models.members import member_files
from boomerang.service.settings import Settings
from tests.app.conftest import Front, problem
from tests.local_hub.fixture import LocalHub
from tests.local_hub.repos import OWNER

pytestmark = pytest.mark.long("a teacher is read from a Hub with faults")

WIDTH, INNER, LAYERS, KEPT = 512, 2048, 8, [0, 3, 5, 7]


def llama(folder: Path, layers: int, seed: int) -> None:
    """A Llama of 8 MB a layer in float16."""
    random = np.random.default_rng(seed)
    shapes: dict[str, list[int]] = {"model.embed_tokens.weight": [64, WIDTH]}
    for i in range(layers):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{x}_proj.weight": [WIDTH, WIDTH] for x in "qkvo"}
        shapes |= {f"{at}.mlp.{x}_proj.weight": [INNER, WIDTH] for x in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = [WIDTH, INNER]
        shapes |= {f"{at}.{x}.weight": [WIDTH]
                   for x in ("input_layernorm", "post_attention_layernorm")}  # fmt: skip
    shapes |= {"model.norm.weight": [WIDTH], "lm_head.weight": [64, WIDTH]}
    folder.mkdir(parents=True)
    weights = {
        name: random.integers(0, 255, 2 * int(np.prod(shape)), np.uint8).view(np.float16)
        for name, shape in shapes.items()
    }
    shaped = {name: weights[name].reshape(shape) for name, shape in shapes.items()}
    save_file(shaped, folder / "model.safetensors", metadata={"format": "pt"})
    config: dict[str, Any] = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH,
        "intermediate_size": INNER, "num_attention_heads": 8, "num_key_value_heads": 8,
        "num_hidden_layers": layers, "vocab_size": 64, "tie_word_embeddings": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


class Evicted:
    """A front end with one family that is ready, and the Hub that has its teacher alone."""

    def __init__(self, front: Front, hub: LocalHub, teacher: Path) -> None:
        self.front, self.hub = front, hub
        asked = front.family(teacher="org/teacher", student="small")
        self.planned = hub.layer.sent
        student = front.catalog.student(asked["student"]["key"])
        assert student.state is StudentState.READY
        self.family: Family = front.catalog.family(asked["id"])
        self.members: tuple[Member, ...] = front.catalog.members(self.family.id)
        self.near = Pair.of(
            Checkpoint.open(teacher, "org/teacher"),
            pairs.student_checkpoint(front.settings, student),
        )

    def url(self, member: Member) -> str:
        return f"{self.front.base}/models/{member.size}"

    def weights(self, member: Member) -> bytes:
        settings = Settings(home=self.front.home)
        files = member_files(settings, self.near, member, record={})
        return files["model.safetensors"].read()


@pytest.fixture
def evicted(
    tmp_path: Path, make_front: Callable[..., Front], hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> Evicted:
    llama(tmp_path / "teacher", LAYERS, 1)
    hub.add_repo("org/teacher", tmp_path / "teacher", private=True)
    front = make_front(HF_ENDPOINT=hub.endpoint, HF_TOKEN=OWNER)
    llama(front.models / "small", len(KEPT), 2)
    kept = {"copied_teacher_layers": KEPT}
    (front.models / "small" / "student_config.json").write_text(json.dumps(kept))
    return Evicted(front, hub, tmp_path / "teacher")


def test_members_are_served_from_the_hub(evicted: Evicted) -> None:
    hub, members = evicted.hub, evicted.members
    # Headers, and a first block in which the embeddings differ.
    assert evicted.planned < 1_000_000
    assert len(members) == 4
    for member in (members[1], members[-1]):
        before = hub.layer.sent
        url = f"{evicted.url(member)}/model.safetensors"
        got = evicted.front.client.get(url)
        wanted = evicted.weights(member)
        assert got.status_code == 200
        assert hashlib.sha256(got.content).digest() == hashlib.sha256(wanted).digest()
        teacher = sum(int(layer.startswith("t")) for layer in _layers(evicted, member))
        assert teacher
        assert hub.layer.sent - before < teacher * 8_500_000 + 500_000
        before = hub.layer.sent
        part = evicted.front.client.get(url, headers={"Range": "bytes=-70000"})
        assert part.content == wanted[-70_000:]
        assert hub.layer.sent - before < 200_000
    assert not list((evicted.front.home / "teachers").glob("*")), "nothing was fetched"
    assert all("authorization" not in a.headers for a in hub.asked if "/cdn/" in a.path)


def test_a_page_asks_the_hub_for_nothing(evicted: Evicted) -> None:
    hub, url = evicted.hub, evicted.url(evicted.members[1])
    asked = len(hub.asked)
    page = evicted.front.client.get(url, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "Its teacher is on the Hub" in page.text
    assert "Memory to run it" in page.text
    assert len(hub.asked) == asked
    # What something else has asked for is shown.
    evicted.front.client.get(f"{url}/config.json")
    asked = len(hub.asked)
    page = evicted.front.client.get(url, headers={"Accept": "text/html"})
    assert "How to run it" in page.text
    assert "model.safetensors" in page.text
    assert len(hub.asked) == asked


def _layers(evicted: Evicted, member: Member) -> list[str]:
    record = evicted.front.client.get(f"{evicted.url(member)}/boomerang.json").json()
    return [str(layer) for layer in record["layers"]]


def test_the_first_byte_does_not_wait_and_leaving_ends_it(evicted: Evicted) -> None:
    hub, whole = evicted.hub, evicted.members[-1]
    evicted.front.client.head(evicted.url(whole))
    before = hub.layer.sent
    with httpx.stream("GET", evicted.url(whole), trust_env=False) as answer:
        next(answer.iter_raw())
        time.sleep(0.5)
        # What was fetched ahead, and what lies in the sockets between.
        assert hub.layer.sent - before < whole.bytes / 2
    until_quiet(hub)
    assert hub.layer.sent - before < whole.bytes * 0.7


def until_quiet(hub: LocalHub) -> None:
    ends, last = time.monotonic() + 10, -1
    while hub.layer.sent != last:
        assert time.monotonic() < ends
        last = hub.layer.sent
        time.sleep(0.3)


def test_faults_on_the_way(evicted: Evicted) -> None:
    hub, front, member = evicted.hub, evicted.front, evicted.members[-1]
    url = f"{evicted.url(member)}/model.safetensors"
    wanted = hashlib.sha256(evicted.weights(member)).digest()
    hub.fail("GET /cdn/", times=2)
    hub.fail("GET /cdn/", 403)
    hub.fail("GET /cdn/", 503)
    assert hashlib.sha256(front.client.get(url).content).digest() == wanted
    hub.answer_otherwise("/cdn/", times=99, etag='"another"')
    problem(front.client.get(url), 410, "source-changed")
    hub.faults.clear()
    assert hashlib.sha256(front.client.get(url).content).digest() == wanted
    # Gone: at once for a family that was open, and for one that is opened anew.
    del hub.store.repos["org/teacher"]
    hub.fail("GET /cdn/", 404, times=99)
    problem(front.client.get(url), 410, "source-changed")
    front.stop()
    front.start()
    body = problem(front.client.get(url), 410, "source-changed")
    assert body["value"] == "org/teacher"
    assert OWNER not in front.log.read_text()
    assert "?t=" not in front.log.read_text()
