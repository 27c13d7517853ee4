"""The front end starts at once, loads no torch, and says what each of its routes does."""

import subprocess
import sys

import pytest

CODE = """
import sys, time
started = time.process_time()
import app.main
print(time.process_time() - started)
heavy = {"torch", "transformers", "celery", "huggingface_hub", "safetensors", "numpy"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_it_is_quick_and_loads_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    times = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
        )
        seconds, heavy = done.stdout.splitlines()
        times.append(float(seconds))
        assert "torch" not in heavy
        assert "transformers" not in heavy
    with capsys.disabled():
        print(f"\nimport app.main: {min(times):.2f} s; loaded of the heavy ones: {heavy}")
    # Processor time, and twice what the design allows: other processes have the machine too.
    assert min(times) < 2


def test_every_route_is_described() -> None:
    from app.main import create_app

    paths = create_app().openapi()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation.get("description", "").endswith("."), f"{method} {path}"
