"""What most tests of the trainer begin with."""

from pathlib import Path

import pytest

from tests.distill.jobs import save_teacher, save_texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tiny teacher and texts in it."""
    save_teacher(tmp_path / "teacher", "qwen3-tied")
    save_texts(tmp_path / "texts")
    return tmp_path
