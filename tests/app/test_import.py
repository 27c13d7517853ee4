"""The front end starts at once, loads no torch, and says what each of its routes does."""

import subprocess
import sys

import pytest

CODE = """
import sys, time
started = time.process_time()
import fastapi, httpx, jinja2, markdown_it, prometheus_client, sqlalchemy.orm
import sse_starlette, standardwebhooks, uvicorn, yaml
libraries = time.process_time()
import app.main
print((time.process_time() - started) / (libraries - started))
heavy = {"torch", "transformers", "celery", "huggingface_hub", "safetensors", "numpy"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_it_is_quick_and_loads_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    ratios = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
        )
        ratio, heavy = done.stdout.splitlines()
        ratios.append(float(ratio))
        assert "torch" not in heavy
        assert "transformers" not in heavy
    with capsys.disabled():
        print(f"\nimport app.main: {min(ratios):.2f} of its libraries; of the heavy ones: {heavy}")
    # Processor time of one process, as others have the machine too: it is 1.9 to 2.2.
    assert min(ratios) < 3


def test_every_route_is_described() -> None:
    from app.main import create_app

    paths = create_app().openapi()["paths"]
    assert len(paths) > 15
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation.get("description", "").endswith("."), f"{method} {path}"
