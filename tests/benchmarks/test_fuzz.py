"""What the document says is what is answered, to requests that nobody thought of."""

import subprocess
import sys

import pytest

from app.main import create_app
from boomerang.service.settings import Settings
from tests.support.places import ROOT


@pytest.mark.long("two thousand requests to a front end of its own")
@pytest.mark.timeout(900)
def test_every_answer_to_odd_requests_is_declared() -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--phases", "coverage"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_no_operation_declares_a_fault_of_the_service() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    answers = [
        (path, method, status)
        for path, operations in paths.items()
        for method, operation in operations.items()
        for status in operation["responses"]
    ]
    assert answers
    assert [one for one in answers if one[2] in ("500", "default")] == []
