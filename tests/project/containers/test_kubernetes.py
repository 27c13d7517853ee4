"""The Kubernetes set-up: by Kubernetes' own schemas, and naming nothing that is not there."""

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from boomerang.service.settings import Settings
from tests.project.test_containers import (
    FRONT_END_ALONE,
    SERVICES,
    final_stage,
    health_command,
    names_of,
    seconds,
)
from tests.project.test_workflows import tool
from tests.support.places import ROOT

FOLDER = ROOT / "docker" / "kubernetes"
VERSIONS = ("1.31", "1.37")
"""The oldest and the newest that it is written for."""
OURS = {"app", "gpu-worker", "assembly-worker", "migrate"}
APART = {"boomerang-secrets", "boomerang-front-secrets", "boomerang-tls"}
"""Secrets that whoever installs it makes, as the documentation says."""

pytestmark = pytest.mark.slow("every manifest by two versions' schemas")
Manifest = dict[str, Any]


def built(overlay: str) -> list[Manifest]:
    """What `kubectl apply -k` would send: resources, generated maps, images and patches."""
    return _built(FOLDER / overlay)


def _built(folder: Path) -> list[Manifest]:
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert plan.keys() <= {
        "apiVersion", "kind", "namespace", "labels", "resources", "configMapGenerator", "images",
        "patches",
    }  # fmt: skip
    found: list[Manifest] = []
    for name in plan["resources"]:
        path = folder / name
        found += _built(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for made in plan.get("configMapGenerator", ()):
        lines = [line for name in made["envs"] for line in (folder / name).read_text().splitlines()]
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        data = {name: value for name, _, value in pairs}
        meta = {"name": made["name"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    for patch in plan.get("patches", ()):
        hit = [one for one in found if _named(one) == tuple(patch["target"].values())]
        assert len(hit) == 1, patch["target"]
        for step in yaml.safe_load(patch["patch"]):
            _patch(hit[0], step)
    used = {container["image"] for one in found for container in containers(one)}
    for image in plan.get("images", ()):
        assert image["name"] in used, f"{image['name']} is used by nobody"
        for container in (c for one in found for c in containers(one)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    for one in found:
        one["metadata"]["namespace"] = plan["namespace"]
    return found


def _patch(manifest: Manifest, step: dict[str, Any]) -> None:
    """One step of RFC 6902, of those kinds that are used."""
    *way, last = step["path"].removeprefix("/").split("/")
    at: Any = manifest
    for name in way:
        at = at[int(name)] if isinstance(at, list) else at[name]
    if step["op"] == "add" and last == "-":
        at.append(step["value"])
    elif step["op"] == "replace" and last in at:
        at[last] = step["value"]
    else:
        assert step["op"] == "remove", step
        del at[last]


def _named(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def pod(manifest: Manifest) -> Manifest | None:
    template = manifest.get("spec", {}).get("template")
    return None if template is None else template["spec"]


def containers(manifest: Manifest) -> list[Manifest]:
    found = pod(manifest)
    return [] if found is None else [*found["containers"], *found.get("initContainers", ())]


OVERLAYS = ("base", "cpu", "autoscaled")
EVERY = {overlay: built(overlay) for overlay in OVERLAYS}
BASE = {_named(one): one for one in EVERY["base"]}
PODS = {name: one for (_, name), one in BASE.items() if pod(one) is not None}

SCALED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["scaleTargetRef", "triggers"],
    "properties": {
        "scaleTargetRef": {
            "type": "object", "required": ["name"], "additionalProperties": False,
            "properties": {
                name: {"type": "string"}
                for name in ("name", "apiVersion", "kind", "envSourceContainerName")
            },
        },
        **{
            name: {"type": "integer", "minimum": 0}
            for name in (
                "pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount",
                "minReplicaCount", "maxReplicaCount",
            )
        },
        "advanced": {
            "type": "object", "additionalProperties": False,
            "properties": {
                "restoreToOriginalReplicaCount": {"type": "boolean"},
                "horizontalPodAutoscalerConfig": {
                    "type": "object", "additionalProperties": False,
                    "properties": {"name": {"type": "string"}, "behavior": {"type": "object"}},
                },
                "scalingModifiers": {"type": "object"},
            },
        },
        "fallback": {"type": "object"},
        "triggers": {
            "type": "array", "minItems": 1,
            "items": {
                "type": "object", "additionalProperties": False, "required": ["type", "metadata"],
                "properties": {
                    "type": {"enum": ["redis", "postgresql", "prometheus"]},
                    "name": {"type": "string"},
                    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
                    "metricType": {"enum": ["AverageValue", "Value", "Utilization"]},
                    "useCachedMetrics": {"type": "boolean"},
                    "authenticationRef": {
                        "type": "object", "additionalProperties": False, "required": ["name"],
                        "properties": {
                            "name": {"type": "string"},
                            "kind": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip
"""https://keda.sh/docs/latest/reference/scaledobject-spec/; values of triggers are strings."""
LETS_IN = {
    "type": "object", "additionalProperties": False, "required": ["secretTargetRef"],
    "properties": {
        "secretTargetRef": {
            "type": "array",
            "items": {
                "type": "object", "additionalProperties": False,
                "required": ["parameter", "name", "key"],
                "properties": {n: {"type": "string"} for n in ("parameter", "name", "key")},
            },
        },
    },
}  # fmt: skip
KEDA = {"ScaledObject": SCALED, "TriggerAuthentication": LETS_IN}


def test_style() -> None:
    tool("yamllint", "--strict", "-c", ".yamllint", FOLDER)


@pytest.mark.long("every manifest by two versions' schemas")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_follows_its_schema(overlay: str) -> None:
    import jsonschema

    for manifest in EVERY[overlay]:
        if manifest["apiVersion"].startswith("keda.sh/"):
            jsonschema.validate(manifest["spec"], KEDA[manifest["kind"]])
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(deepcopy(manifest), version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_names_what_is_not_there(overlay: str) -> None:
    there = {_named(one) for one in EVERY[overlay]}
    assert len(there) == len(EVERY[overlay])

    def names(at: Any, key: str) -> list[str]:
        if isinstance(at, list):
            return [name for item in at for name in names(item, key)]
        if not isinstance(at, dict):
            return []
        own = [at[key] if isinstance(at[key], str) else at[key]["name"]] if key in at else []
        return own + [name for value in at.values() for name in names(value, key)]

    volumes = set()
    for manifest in EVERY[overlay]:
        for key, kind in (
            ("configMapRef", "ConfigMap"), ("claimName", "PersistentVolumeClaim"),
            ("serviceName", "Service"), ("service", "Service"),
        ):  # fmt: skip
            assert {(kind, name) for name in names(manifest.get("spec"), key)} <= there, key
        for key in ("secretRef", "secretKeyRef", "secretName"):
            assert set(names(manifest.get("spec"), key)) <= APART
        assert {("TriggerAuthentication", n) for n in names(manifest, "authenticationRef")} <= there
        for name in names(manifest.get("spec"), "scaleTargetRef"):
            assert ("Deployment", name) in there
        spec = pod(manifest)
        if spec is not None:
            claims = manifest["spec"].get("volumeClaimTemplates", ())
            volumes = {one["name"] for one in spec.get("volumes", ())}
            volumes |= {one["metadata"]["name"] for one in claims}
            for container in spec["containers"]:
                mounted = {one["name"] for one in container["volumeMounts"]}
                assert mounted == volumes
            labels = manifest["spec"]["template"]["metadata"]["labels"]
            chosen = manifest["spec"].get("selector", {}).get("matchLabels", {})
            assert chosen.items() <= labels.items()
    for kind in ("Service", "PodDisruptionBudget"):
        for manifest in (one for one in EVERY[overlay] if one["kind"] == kind):
            chosen = manifest["spec"]["selector"]
            (name,) = chosen.get("matchLabels", chosen).values()
            assert name in PODS


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_can_change_nothing_but_its_volumes(name: str) -> None:
    spec = pod(PODS[name])
    assert spec is not None
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    who = spec["securityContext"]
    assert who["runAsNonRoot"] is True
    assert who["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        if container["image"].partition(":")[0].endswith(tuple(OURS)):
            user = final_stage(_image(container))["USER"]
            assert user == f"{who['runAsUser']}:{who['runAsGroup']}"


def _image(container: Manifest) -> str:
    return str(container["image"]).rpartition("/")[2].partition(":")[0].removeprefix("boomerang-")


def test_pods_run_what_compose_runs() -> None:
    for name in ("app", "gpu-worker", "assembly-worker"):
        (container,) = containers(PODS[name])
        assert _image(container) == name
        assert "command" not in container
        assert "args" not in container
        spec = pod(PODS[name])
        assert spec is not None
        grace = seconds(SERVICES[name]["stop_grace_period"])
        assert spec["terminationGracePeriodSeconds"] >= grace
        if name != "app":
            assert container["livenessProbe"]["exec"]["command"] == health_command(name)
    for store in ("redis", "postgres"):
        (container,) = containers(PODS[store])
        assert container["image"] == SERVICES[store]["image"]
        assert (
            container["readinessProbe"]["exec"]["command"]
            == SERVICES[store]["healthcheck"]["test"][1:]
        )
    (redis,) = containers(PODS["redis"])
    assert redis["command"] == [part.replace("$$", "$") for part in SERVICES["redis"]["command"]]
    gpu = pod(PODS["gpu-worker"])
    assert gpu is not None
    assert gpu["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert containers(PODS["gpu-worker"])[0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_every_setting_reaches_the_pods_that_read_it() -> None:
    """What is no secret by one map that all have; secrets by two, one of the front end alone."""
    shared, front = (
        set(re.findall(r"^([A-Z_]+)=$", (FOLDER / "base" / name).read_text(), re.MULTILINE))
        for name in ("secrets.env.example", "front.env.example")
    )
    kinds = {name: str(field.annotation) for name, field in Settings.model_fields.items()}
    secret = {name for name, kind in kinds.items() if SecretStr.__name__ in kind}
    assert {f"BOOMERANG_{n.upper()}" for n in secret & FRONT_END_ALONE} == front
    others = {f"BOOMERANG_{name.upper()}" for name in secret - FRONT_END_ALONE}
    assert others | {"PGPASSWORD", "REDIS_PASSWORD", "HF_TOKEN"} == shared
    for name in OURS | {"cpu-worker"}:
        manifests = {one["metadata"]["name"]: one for one in EVERY["cpu"] if pod(one) is not None}
        (container,) = containers(manifests.get(name) or manifests[f"boomerang-{name}"])
        sources = [next(iter(one.values()))["name"] for one in container["envFrom"]]
        wanted = ["boomerang-settings", "boomerang-secrets"]
        assert sources == wanted + ["boomerang-front-secrets"] * (name == "app")
        known = {n for field in Settings.model_fields for n in names_of(field)}
        known |= {"REDIS_PASSWORD", "FORWARDED_ALLOW_IPS"}
        assert {one["name"] for one in container["env"]} <= known
    told = BASE["ConfigMap", "boomerang-settings"]["data"]
    assert told.keys() <= {n for field in Settings.model_fields for n in names_of(field)}
    assert told["DATABASE_URL"] == SERVICES["app"]["environment"]["DATABASE_URL"]
    assert told["BOOMERANG_MIGRATE"] == "false"
    (job,) = containers(BASE["Job", "boomerang-migrate"])
    assert job["command"] == ["boomerang", "migrate"]


def test_only_the_front_end_is_reached_and_the_stores_reach_nobody() -> None:
    policies = {n: one["spec"] for (kind, n), one in BASE.items() if kind == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert "egress" not in policies["stores"]
    assert policies["stores"]["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policies["stores"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"boomerang.stores": "yes"}}}]
    allowed = {
        name
        for name, one in PODS.items()
        if one["spec"]["template"]["metadata"]["labels"].get("boomerang.stores") == "yes"
    }
    assert allowed == {"app", "gpu-worker", "assembly-worker", "boomerang-migrate"}
    services = [one["spec"] for (kind, _), one in BASE.items() if kind == "Service"]
    assert not any(spec.get("type") in ("NodePort", "LoadBalancer") for spec in services)


def test_workers_are_as_many_as_there_is_work() -> None:
    found = {_named(one): one for one in EVERY["autoscaled"]}
    scaled = found["ScaledObject", "gpu-worker"]["spec"]
    assert "replicas" not in found["Deployment", "gpu-worker"]["spec"]
    lists = {t["metadata"]["listName"] for t in scaled["triggers"] if t["type"] == "redis"}
    command = json.loads(final_stage("gpu-worker")["CMD"])
    assert lists == set(command[-1].split(","))
    (rule,) = found["NetworkPolicy", "stores"]["spec"]["ingress"]
    assert len(rule["from"]) == 2
    other = {_named(one): one for one in EVERY["cpu"]}
    assert other["Deployment", "gpu-worker"]["spec"]["replicas"] == 0
