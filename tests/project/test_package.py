"""The wheel has every file of the packages, and the licence; `make dist` tries it as well."""

import zipfile
from pathlib import Path

import pytest

import boomerang
from tools.dist import PACKAGES, build, files_of, tracked

pytestmark = pytest.mark.slow("a wheel is built")


def test_the_wheel_has_what_git_tracks(tmp_path: Path) -> None:
    _, wheel = build(tmp_path / "dist")
    found, about = files_of(wheel)
    assert found == set(tracked(*PACKAGES))
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"} <= about
    with zipfile.ZipFile(wheel) as content:
        metadata = content.read(f"boomerang-{boomerang.__version__}.dist-info/METADATA").decode()
    assert f"Version: {boomerang.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
