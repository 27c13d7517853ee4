"""A model to publish, small enough that every byte of it can be looked at."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.sources import FileSource
from boomerang.hub import client
from tests.local_hub.fixture import hub
from tests.local_hub.repos import OWNER

__all__ = ["hub"]

CARD = b"---\ntags: [boomerang]\n---\n# Member\n"
Files = dict[str, ByteFile]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the clients waited, which takes no time here."""
    found: list[float] = []
    monkeypatch.setenv("HF_TOKEN", OWNER)
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (found.append(seconds), real(0.001)))
    return found


@pytest.fixture
def weights(tmp_path: Path) -> Callable[[int], ByteFile]:
    """Weights that no others equal, by number."""

    def make(seed: int) -> ByteFile:
        path = tmp_path / f"{seed}.safetensors"
        if not path.exists():
            random = numpy.random.default_rng(seed)
            save_file({"a": random.normal(size=100_000)}, path, {"format": "pt"})
        return ByteFile.whole(FileSource.of(path))

    return make


@pytest.fixture
def files(weights: Callable[[int], ByteFile], slept: list[float]) -> Files:
    return {
        "README.md": ByteFile.literal(CARD),
        "config.json": ByteFile.literal("{}"),
        "model-00001-of-00002.safetensors": weights(1),
        "model-00002-of-00002.safetensors": weights(2),
    }


def contents(files: Files) -> dict[str, bytes]:
    return {name: content.read() for name, content in files.items()}
