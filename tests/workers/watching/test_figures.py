"""What a worker shows of what it does: its own counts, what it trains, its GPUs."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from tests.workers.conftest import Backend, wait_for
from workers.watching.devices import Devices
from workers.watching.figures import Trainings, outcome_of

KEY = "a" * 32


@pytest.fixture
def shown(tmp_path) -> Iterator[tuple[Backend, str]]:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    opened = Backend(tmp_path, metrics_port=port)
    yield opened, f"http://127.0.0.1:{port}/metrics"
    opened.close()


def figures(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(httpx.get(url, trust_env=False).text)
        for sample in family.samples
    }


@pytest.mark.long("a worker with a trainer that takes its time")
def test_a_worker_shows_what_it_trains_and_how_its_tasks_ended(shown) -> None:
    backend, url = shown
    backend.worker()
    step = ("boomerang_training_step", (("student", KEY),))
    backend.ask("slow")
    wait_for(lambda: figures(url).get(step, 0) > 0, 60)
    now = figures(url)
    assert now["boomerang_training_steps", (("student", KEY),)] == 1000
    assert 0 < now["boomerang_training_loss", (("student", KEY),)] <= 1
    assert now["boomerang_tasks_running", (("task", "distill"),)] == 1
    backend.catalog.cancel(backend.catalog.families()[0].id)
    ended = ("boomerang_task_duration_seconds_count",
             (("outcome", "cancelled"), ("task", "distill")))  # fmt: skip
    wait_for(lambda: figures(url).get(ended) == 1, 60)
    now = figures(url)
    # What is trained no more has no figures any more.
    assert step not in now
    assert now["boomerang_tasks_running", (("task", "distill"),)] == 0
    assert now["boomerang_disk_free_bytes", ()] > 0
    assert any(name == "boomerang_build_info" for name, _ in now)


def test_gpus_tell_what_they_can() -> None:
    class Nvml:
        NVML_TEMPERATURE_GPU = 0
        nvmlInit = staticmethod(lambda: None)
        nvmlDeviceGetCount = staticmethod(lambda: 2)
        nvmlDeviceGetHandleByIndex = staticmethod(int)
        nvmlDeviceGetUtilizationRates = staticmethod(lambda gpu: SimpleNamespace(gpu=50 * gpu))
        nvmlDeviceGetMemoryInfo = staticmethod(lambda gpu: SimpleNamespace(used=1, total=2))
        nvmlDeviceGetTemperature = staticmethod(lambda gpu, kind: 40 + gpu + kind)

        @staticmethod
        def nvmlDeviceGetPowerUsage(gpu: int) -> int:
            if gpu == 0:
                raise RuntimeError("not supported")
            return 250_500

    registry = CollectorRegistry()
    registry.register(Devices(Nvml()))

    def told(name: str, gpu: str) -> float | None:
        return registry.get_sample_value(name, {"gpu": gpu})

    assert told("boomerang_gpu_utilization_ratio", "1") == 0.5
    assert told("boomerang_gpu_memory_size_bytes", "0") == 2
    assert told("boomerang_gpu_temperature_celsius", "1") == 41
    assert told("boomerang_gpu_power_watts", "1") == 250.5
    assert told("boomerang_gpu_power_watts", "0") is None


def test_a_machine_without_gpus_shows_none() -> None:
    class Nvml:
        @staticmethod
        def nvmlInit() -> None:
            raise OSError("no such library")

    assert list(Devices(Nvml()).collect()) == []


def test_labels_are_few_whatever_words_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.watching.figures._outcomes", set())
    assert {outcome_of(f"{i} sent") for i in range(500)} == {"sent"}
    assert len({outcome_of(f"word {i}") for i in range(500)}) <= 41
    assert outcome_of("7 sent") == "sent"


def test_two_students_at_a_time_are_told_apart_by_their_tasks() -> None:
    found, both, go = Trainings(), threading.Barrier(3), threading.Event()

    def train(key: str) -> None:
        found.told(key, {"step": 3, "steps": 9, "loss": 0.5, "unknown": 1})
        both.wait(60)
        go.wait(60)
        found.over()

    threads = [threading.Thread(target=train, args=(key,)) for key in ("one", "two")]
    for thread in threads:
        thread.start()
    both.wait(60)
    steps = next(family for family in found.collect() if family.name.endswith("training_step"))
    assert {sample.labels["student"] for sample in steps.samples} == {"one", "two"}
    go.set()
    for thread in threads:
        thread.join()
    assert not any(family.samples for family in found.collect())
