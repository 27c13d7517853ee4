"""What compose starts serves a family: every command as a process, over real stores."""

import io
import json
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
import yaml

from tests.project.containers.engine import Engine, free_port
from tests.project.containers.test_proxy import NGINX, proxy
from tests.support.databases import postgres_server
from tests.support.places import ROOT
from tests.workers.conftest import KEPT, LAYERS, write_model

FAKES = ROOT / "tests" / "workers"
KEY = "a-key-of-the-environment-0123456789"
DOTENV = {
    "POSTGRES_PASSWORD": "p:a/s@s word",
    "REDIS_PASSWORD": "0123456789abcdef",
    "BOOMERANG_API_KEYS": KEY,
    "BOOMERANG_TRAINER": json.dumps(["python", str(FAKES / "fake_trainer.py")]),
    "BOOMERANG_MEASURER": json.dumps(["python", str(FAKES / "fake_measurer.py")]),
    "BOOMERANG_SECRET": "s" * 40,
    "BOOMERANG_REAP_SECONDS": "1",
    "BOOMERANG_MIGRATE": "false",
}

SERVED = ("app", "cpu-worker", "assembly-worker")

pytestmark = [
    pytest.mark.long("front end, two workers and two stores start and stop"),
    pytest.mark.timeout(1200),
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with postgres_server() as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE ROLE boomerang LOGIN")
            connection.execute("CREATE DATABASE boomerang OWNER boomerang")
        port = int(address.rsplit(":", 1)[1].partition("/")[0])
        ports = {"postgres": port, "redis": free_port(), "app": free_port()}
        made = Engine(tmp_path, DOTENV, ports)
        write_model(made.volumes["models"] / "teacher", LAYERS, seed=1)
        write_model(made.volumes["models"] / "student", len(KEPT), seed=2)
        said = {"copied_teacher_layers": KEPT, "pruned_teacher_layers": [1]}
        (made.volumes["models"] / "student" / "student_config.json").write_text(json.dumps(said))
        (made.volumes["models"] / "texts").mkdir()
        (made.volumes["models"] / "texts" / "a.txt").write_text("In the beginning.\n")
        yield made
        made.close()


def queue(engine: Engine) -> redis.Redis:
    return redis.Redis(port=engine.ports["redis"], password=DOTENV["REDIS_PASSWORD"])


def answers(engine: Engine) -> bool:
    try:
        with queue(engine) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def wanted(engine: Engine) -> int:
    """How many GPU workers Kubernetes' autoscaler would be told to have, by the catalog."""
    scaling = (ROOT / "docker/kubernetes/autoscaled/scaling.yaml").read_text()
    triggers = list(yaml.safe_load_all(scaling))[-1]["spec"]["triggers"]
    (query,) = [t["metadata"]["query"] for t in triggers if t["type"] == "postgresql"]
    address = f"postgresql://boomerang@127.0.0.1:{engine.ports['postgres']}/boomerang"
    with psycopg.connect(address) as connection:
        (found,) = connection.execute(query).fetchone() or (None,)
    return int(found)


def through(engine: Engine, path: str, headers: dict[str, str]) -> None:
    """What is downloaded through the proxy is what the front end sends, whole and in part."""
    folder = engine.own("nginx")
    direct = httpx.get(f"http://127.0.0.1:{engine.ports['app']}{path}?download", headers=headers)
    with proxy(folder / "etc", engine.ports["app"], "plain.conf") as ports:
        url = f"http://127.0.0.1:{ports['8080']}{path}?download"
        whole = httpx.get(url, headers=headers)
        part = httpx.get(url, headers=headers | {"Range": "bytes=100-299"})
        same = httpx.get(url, headers=headers | {"If-None-Match": direct.headers["ETag"]})
    assert whole.content == direct.content
    assert (part.status_code, part.content) == (206, direct.content[100:300])
    assert same.status_code == 304


def test_what_compose_starts_serves_a_family_and_stops_within_its_grace(engine: Engine) -> None:
    models = sorted(engine.volumes["models"].rglob("*"))
    engine.start("redis")
    engine.wait("redis", lambda: answers(engine))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=engine.ports["redis"]).ping()
    # Nobody brings the catalog up to date by the way: whoever starts before is refused.
    done = engine.once("app", "boomerang", "migrate")
    assert done.returncode == 0, done.stderr
    engine.start("app")
    engine.wait("app", lambda: engine.healthy("app"))
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"http://127.0.0.1:{engine.ports['app']}"
    with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client:
        assert client.get("/families", headers={"Authorization": ""}).status_code == 401
        asked = {"teacher": "teacher", "data": "texts", "recipe": "smoke", "kept": KEPT}
        made = client.post("/families", json=asked | {"order": "last", "sizes": ["2.49K", "3.14K"]})
        assert made.status_code == 202, made.text
        family = made.json()

        # The queue is on its volume: a restart of Redis loses no job.
        waiting = queue(engine).lrange("distill", 0, -1)
        assert len(waiting) == 1
        assert engine.stop("redis") == 0
        engine.start("redis")
        engine.wait("redis", lambda: answers(engine))
        assert queue(engine).lrange("distill", 0, -1) == waiting

        assert wanted(engine) == 1
        for name in ("cpu-worker", "assembly-worker"):
            engine.start(name)

        def built() -> bool:
            found = client.get(f"/families/{family['id']}").json()
            assert found["student"]["state"] != "failed", found["student"]["reason"]
            states = [member["built"] for member in found["members"]]
            assert "failed" not in states, found["members"]
            return set(states) == {"yes"}

        engine.wait("cpu-worker", built, 400)
        engine.wait("cpu-worker", lambda: wanted(engine) == 0)
        for name in SERVED:
            engine.wait(name, lambda name=name: engine.healthy(name))
        members = client.get(f"/families/{family['id']}").json()["members"]
        for member in members:
            tar = client.get(f"/models/{member['size']}", headers={"Accept": "application/x-tar"})
            assert tar.status_code == 200
            with tarfile.open(fileobj=io.BytesIO(tar.content)) as files:
                (weights,) = [one for one in files if one.name.endswith(".safetensors")]
                served = files.extractfile(weights).read()  # type: ignore[union-attr]
            # The worker wrote to the volume what the front end stitches from it.
            assert any(
                path.read_bytes() == served
                for path in engine.volumes["home"].glob("members/*/*.safetensors")
            )
        if NGINX is not None:
            through(engine, f"/models/{members[-1]['size']}", headers)
        for name in ("cpu-worker", "assembly-worker"):
            assert engine.stop(name) == 0, engine.said(name)
    # uvicorn ends by the signal that it was sent, once all is closed.
    assert engine.stop("app") in (0, -signal.SIGTERM), engine.said("app")
    assert engine.stop("redis") == 0
    # Nobody wrote where it may not: the models are as they were, and nobody's secrets are told.
    assert sorted(engine.volumes["models"].rglob("*")) == models
    said = "".join(engine.log(name).read_text() for name in SERVED)
    for name, value in DOTENV.items():
        assert name in ("BOOMERANG_REAP_SECONDS", "BOOMERANG_MIGRATE") or value not in said, name
