"""A running front end on a real socket, with tiny models below BOOMERANG_MODELS."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import StudentState
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.order_forms import named_order
from boomerang.family.pair import Pair
from boomerang.service.models import pairs
from boomerang.service.models.members import ladder_members
from boomerang.service.settings import Settings
from tests.local_hub.fixture import LocalHub, running
from tests.support.models import Duo, duo
from tests.support.outbox import Outbox
from tests.support.places import ROOT
from tests.support.warm.fronts import Forked, begin
from workers import keying
from workers.context import Context

NOWHERE = "redis://127.0.0.1:1/0"


def tokenizer(folder: Path) -> None:
    """A tokenizer of 48 entries that AutoTokenizer loads."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "in", "the", "beginning", "was", "word"]
    words += [f"w{i}" for i in range(48 - len(words))]
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    """A tiny tied Llama and its student, made once; tests get copies."""
    folder = tmp_path_factory.mktemp("originals")
    made = duo(folder, "llama-tied", frozen=True)
    tokenizer(made.teacher_folder)
    texts = folder / "texts"
    texts.mkdir()
    line = json.dumps({"text": "in the beginning was the word " * 40})
    for split in ("train", "calibration", "heldout"):
        (texts / f"{split}.jsonl").write_text(f"{line}\n" * 4)
    return made


class Front:
    """A front end in a process of its own, and the catalog that it shares with a test."""

    def __init__(self, home: Path, originals: Duo, **environment: str) -> None:
        self.home, self.models = home / "home", home / "models"
        shutil.copytree(originals.teacher_folder.parent, self.models)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "BOOMERANG_HOME": str(self.home),
            "BOOMERANG_MODELS": str(self.models),
            "BOOMERANG_REDIS_URL": NOWHERE,
            "BOOMERANG_RECIPE": "smoke",
            "HF_ENDPOINT": "http://127.0.0.1:1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        } | environment
        address = environment.get("BOOMERANG_DATABASE_URL", "")
        self.settings = Settings(
            home=self.home,
            models=self.models,
            database_url=address,
            recipe=self.environment["BOOMERANG_RECIPE"],
            hub_endpoint=self.environment["HF_ENDPOINT"],
        )
        self.catalog = Catalog(self.settings.database_url)
        key = environment.get("BOOMERANG_API_KEYS", "").split(",")[0].rsplit(":", 1)[-1]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=self.base, timeout=60, trust_env=False, headers=headers)
        self.log = home / "front.log"
        self.process: Forked | subprocess.Popen[bytes] | None = None

    def start(self) -> "Front":
        arguments = ["app.main:app", "--http", "app.serving.zerocopy:Connection", "--no-access-log"]
        arguments += ["--port", str(self.port), "--log-level", "warning"]
        if self.environment["PYTHONPATH"] == str(ROOT):
            self.process = begin(arguments, self.environment, self.home.parent, self.log)
        else:
            # What it is to import is said by the test.
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "uvicorn", *arguments], env=self.environment, stdout=log,
                    stderr=log, cwd=self.home.parent,
                )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            try:
                self.client.get("/healthz")
                return self
            except httpx.ConnectError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until
                time.sleep(0.05)

    def stop(self) -> float:
        """SIGTERM; return the seconds that it took to end."""
        started = time.monotonic()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None
        return time.monotonic() - started

    def close(self) -> None:
        self.stop()
        self.client.close()
        self.catalog.close()

    def post(self, **body: Any) -> httpx.Response:
        return self.client.post("/families", json=body)

    def family(self, **body: Any) -> dict[str, Any]:
        """Ask for the family of the tiny pair, which is not ready yet."""
        asked = {"teacher": "teacher", "student": "student", "order": "last"} | body
        answer = self.post(**asked)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def queued(self, **body: Any) -> dict[str, Any]:
        """Ask for a family whose student has to be distilled first."""
        return self.family(**{"student": None, "data": "texts"} | body)

    def ready(self, **body: Any) -> Family:
        """Ask for it and do what a worker would: the student is ready, the order is settled."""
        return self.settle(self.family(**body)["id"])

    def key(self, id_: str) -> tuple[str, Outbox]:
        """Hash and key a provisional family; what was said and what was sent."""
        outbox = Outbox()
        return keying.key(Context(self.settings, self.catalog, outbox), id_), outbox

    def settle(self, id_: str) -> Family:
        if self.catalog.waiting(id_) is not None:
            assert self.key(id_)[0] == "keyed"
        family = self.catalog.family(self.catalog.family_id(id_))
        student = self.catalog.student(family.student)
        if student.state is not StudentState.READY:
            self.catalog.set_student_state(student.key, StudentState.READY)
            student = self.catalog.student(family.student)
        pair = pairs.open_pair(self.settings, self.catalog, student)
        order = named_order(pair.layermap, "last" if family.order == "auto" else family.order)
        assert order is not None
        members = ladder_members(pair, order, family.commit, family.student)
        self.catalog.set_members(family.id, members, patch_order=order, chosen="last")
        return self.catalog.family(family.id)

    @property
    def pair(self) -> Pair:
        folders = self.models / "teacher", self.models / "student"
        return Pair.of(*(Checkpoint.open(folder) for folder in folders))


@pytest.fixture
def database() -> dict[str, str]:
    """What tells a front end its database: SQLite, but for the files that ask for both."""
    return {}


@pytest.fixture
def make_front(
    tmp_path: Path, originals: Duo, database: dict[str, str]
) -> Iterator[Callable[..., Front]]:
    made: list[Front] = []

    def make(**environment: str) -> Front:
        made.append(Front(tmp_path / f"front{len(made)}", originals, **database | environment))
        return made[-1].start()

    yield make
    for front in made:
        front.close()


@pytest.fixture
def front(make_front: Callable[..., Front]) -> Front:
    return make_front()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Front]:
    """One front end for the tests of a file that change nothing which others look at."""
    opened = Front(tmp_path_factory.mktemp("shared"), originals).start()
    yield opened
    opened.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """An empty Hub on a real socket."""
    with running(tmp_path / "hub") as found:
        yield found


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem detail of an answer, checked for what every one of them has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:boomerang:{slug}", body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert "value" in body
    assert body["fix"], body
    return body
