"""A whole back end for a test: a real queue, a real database, real worker processes."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Created, NewFamily, NewRequest
from boomerang.catalog.records.students import NewStudent
from boomerang.checkpoint.table import Checkpoint
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.jobs import QUEUES, Producer
from boomerang.service.models.pairs import folder_commit
from boomerang.service.running.parts import environment as environment_of
from boomerang.service.running.parts import valkey, valkey_url, worker_command
from boomerang.service.settings import Settings
from tests.support.databases import BOTH

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KEPT, LAYERS = (0, 2, 3), 4


def write_model(folder: Path, layers: int, seed: int) -> None:
    """A Llama of a few thousand parameters."""
    random = np.random.default_rng(seed)
    shapes = {"model.embed_tokens.weight": (32, 8)}
    for i in range(layers):
        at = f"model.layers.{i}"
        shapes |= {f"{at}.self_attn.{x}_proj.weight": (8, 8) for x in "qkvo"}
        shapes |= {f"{at}.mlp.{x}_proj.weight": (16, 8) for x in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (8, 16)}
        shapes |= {
            f"{at}.{x}.weight": (8,) for x in ("input_layernorm", "post_attention_layernorm")
        }
    shapes |= {"model.norm.weight": (8,), "lm_head.weight": (32, 8)}
    folder.mkdir(parents=True)
    tensors = {name: random.normal(size=s).astype(np.float32) for name, s in shapes.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": layers,
        "vocab_size": 32,
        "tie_word_embeddings": False,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))


class Backend:
    """What a test talks to."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.models = home / "models"
        write_model(self.models / "teacher", LAYERS, seed=1)
        write_model(self.models / "student", len(KEPT), seed=2)
        kept = {"copied_teacher_layers": list(KEPT), "pruned_teacher_layers": [1]}
        (self.models / "student" / "student_config.json").write_text(json.dumps(kept))
        defaults: dict[str, Any] = {
            "home": home / "home",
            "models": self.models,
            "lease_seconds": 1.5,
            "reap_seconds": 0.2,
            "stop_seconds": 3,
            "max_attempts": 3,
            "trainer": (sys.executable, str(HERE / "fake_trainer.py")),
            "measurer": (sys.executable, str(HERE / "fake_measurer.py")),
        }
        base = Settings(**defaults | settings)
        self.settings = base.model_copy(update={"redis_url": valkey_url(base)})
        self.children: list[Daemon] = []
        self._run(valkey(self.settings))
        self.catalog = Catalog(self.settings.database_url)
        self.producer = Producer(self.settings.redis_url)

    def _run(self, child: Daemon) -> Daemon:
        import threading

        child.start()
        self.children.append(child)
        assert child.wait_until_healthy(60, threading.Event()), child.log.read_text()
        return child

    def worker(self, name: str = "w", queues: tuple[str, ...] = QUEUES) -> Daemon:
        environment = environment_of(self.settings)
        environment["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
        child = Daemon(
            name=name,
            arguments=worker_command(name, queues, 1, "INFO"),
            log=self.settings.logs / f"{name}.log",
            environment=environment,
            ready_line=READY,
        )
        return self._run(child)

    def ask(
        self,
        mode: str,
        *,
        order: str = "last",
        data: str | None = None,
        requests: tuple[NewRequest, ...] = (),
        key: str = "a" * 32,
        notify: str | None = None,
        **student: Any,
    ) -> Created:
        teacher = str(self.models / "teacher")
        commit = folder_commit(self.catalog, Checkpoint.open(self.models / "teacher"))
        values: dict[str, Any] = {
            "key": key,
            "teacher": "teacher",
            "teacher_commit": commit,
            "teacher_source": teacher,
            "kept": KEPT,
            "layers": LAYERS,
            "recipe": {"fake": mode},
            "data": data,
        }
        family = NewFamily(
            name="teacher",
            teacher="teacher",
            revision=None,
            commit=commit,
            source=teacher,
            student=key,
            order=order,
        )
        made = self.catalog.create_family(
            family, NewStudent(**values | student), (), requests, notify=notify
        )
        self.producer.start(made)
        return made

    def states(self, key: str = "a" * 32) -> list[tuple[str, str | None]]:
        return [
            (event.payload["state"], event.payload["reason"])
            for event in self.catalog.events_after(0)
            if event.kind == "student" and event.student == key
        ]

    def trainers(self, key: str = "a" * 32) -> list[int]:
        path = self.settings.run_folder(key) / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def close(self) -> None:
        for child in reversed(self.children):
            child.stop()
        self.catalog.close()
        self.producer.close()


def wait_for(check: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        # A child that nobody has waited for yet is over all the same.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


on_both = pytest.mark.parametrize("database", BOTH, indirect=True)
"""For the tests that touch the catalog most."""


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The address of the catalog; empty for the default, SQLite in the home."""
    on_postgres = getattr(request, "param", "sqlite") == "postgresql"
    return str(request.getfixturevalue("on_postgres")) if on_postgres else ""


@pytest.fixture
def backend(tmp_path: Path, database: str) -> Iterator[Backend]:
    opened = Backend(tmp_path, database_url=database)
    yield opened
    opened.close()
