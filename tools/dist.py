"""Build sdist and wheel from what git tracks, and prove that the wheel alone is the whole package.

The wheel is made from the sdist, so that both are complete. It is then installed into a fresh
environment, which borrows nothing but the dependencies of the one that runs this.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("boomerang", "app", "workers")

PROOF = """
import sys
from pathlib import Path

import app.main, boomerang, workers.celery_app
from boomerang.recipes.recipe import Recipe
from boomerang.service.settings import Settings
from starlette.testclient import TestClient

for module in (app, boomerang, workers):
    assert module.__file__.startswith(sys.prefix), module.__file__
for recipe in Path(boomerang.__file__).parent.glob("recipes/*.toml"):
    Recipe.load(recipe.stem)
front = app.main.create_app(Settings(home=Path("home")))
with TestClient(front, base_url="http://127.0.0.1:8000") as client:
    folder = Path(app.__file__).parent / "pages/static"
    files = [file for file in folder.rglob("*") if file.is_file()]
    static = [f"/static/{file.relative_to(folder).as_posix()}" for file in files]
    for path in ("/", "/docs", *static):
        answer = client.get(path, headers={"Accept": "text/html, */*"})
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
"""


def tracked(*paths: str) -> list[str]:
    """What git tracks below these paths, or everywhere."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *paths], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def build(out: Path) -> tuple[Path, Path]:
    """Make both in the folder `out` and return them: the sdist, and the wheel that it makes."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in tracked():
            copy = Path(scratch, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
        script = (
            "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
        )
        _run(sys.executable, "-c", script, out, cwd=scratch, stdout=subprocess.DEVNULL)
    (sdist,) = out.glob("*.tar.gz")
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out)
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", *offline, sdist, cwd=out)
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


def files_of(wheel: Path) -> tuple[set[str], set[str]]:
    """The files of the packages in a wheel, and those of its metadata, without its folder."""
    names = zipfile.ZipFile(wheel).namelist()
    about = {name.split(".dist-info/")[1] for name in names if ".dist-info/" in name}
    return {name for name in names if ".dist-info/" not in name}, about


def try_out(wheel: Path, folder: Path) -> None:
    """Install a wheel in a fresh environment in `folder` and run what it brings."""
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # A path in a .pth file is searched, but its own .pth files are not read: what is installed
    # there as editable, such as this project, is not found.
    (borrowed,) = (folder / "env").glob("lib/python*/site-packages")
    (borrowed / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _run(*pip, "check", cwd=folder)
    command = folder / "env/bin/boomerang"
    _run(command, "--help", cwd=folder)
    _run(command, "plan", ROOT / "examples/kjv/KJV-1.4M", "--budget", "1.2M", cwd=folder)
    _run(python, "-c", PROOF, cwd=folder)


def _run(*command: object, cwd: object, stdout: int | None = None) -> None:
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [str(part) for part in command], cwd=str(cwd), env=outside, check=True, stdout=stdout
    )


def main() -> None:
    """Build, compare, try; print where the two are."""
    sdist, wheel = build(ROOT / "dist")
    found, about = files_of(wheel)
    if found != set(tracked(*PACKAGES)) or not {"licenses/LICENSE", "licenses/NOTICE"} <= about:
        raise SystemExit(f"Not what git tracks: {sorted(found ^ set(tracked(*PACKAGES)))}, {about}")
    with tempfile.TemporaryDirectory() as folder:
        try_out(wheel, Path(folder))
    print(f"{sdist}\n{wheel}\nThe wheel works by itself.")


if __name__ == "__main__":
    main()
