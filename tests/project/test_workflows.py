"""The GitHub workflows: their form, what the rebuild installs and what its script does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.places import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yml")}
TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
ON = True  # what YAML 1.1 makes of the key 'on'


def tool(name: str, *arguments: str | Path) -> None:
    """Run a linter of the development tools; whatever it says is a failure."""
    found = shutil.which(name, path=TOOLS)
    assert found, f"{name} is not installed: pip install -e .[dev]"
    result = subprocess.run(
        [found, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout + result.stderr


def pins(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the images and the rebuild install: docker/pins.py, run in a folder."""
    command = [sys.executable, ROOT / "docker" / "pins.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def jobs(name: str) -> list[dict]:
    return list(WORKFLOWS[name]["jobs"].values())


def test_workflows_follow_their_schema_and_style():
    files = sorted(FOLDER.glob("*.yml"))
    assert [path.name for path in files] == ["ci.yml", "rebuild.yml"]
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    tool("yamllint", "--strict", "-c", ".yamllint", FOLDER)


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_workflow_can_do_little_and_ends(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert WORKFLOWS[name]["concurrency"]["group"]
    for job in jobs(name):
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 360
        assert not job["runs-on"].endswith("-latest")
        for step in job["steps"]:
            assert "continue-on-error" not in step
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            # An expression in a script is code injection: somebody's text run as the shell's.
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            if step.get("uses", "").startswith("actions/setup-python@"):
                assert step["with"]["python-version"] == "3.11"


def test_ci_runs_the_same_command_as_everyone():
    assert set(WORKFLOWS["ci"][ON]) == {"push", "pull_request"}
    (job,) = jobs("ci")
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]


def test_rebuild_is_by_hand_and_weekly():
    on = WORKFLOWS["rebuild"][ON]
    assert set(on["workflow_dispatch"]["inputs"]) == {"family", "force"}
    (schedule,) = on["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
    assert WORKFLOWS["rebuild"]["concurrency"]["cancel-in-progress"] is False


@pytest.fixture
def rebuild(tmp_path):
    """The rebuild step, run as a runner runs it, with a `boomerang` that notes its arguments."""
    (step,) = [s for s in jobs("rebuild")[0]["steps"] if s.get("name") == "Rebuild"]
    assert step["env"] == {
        "FAMILY": "${{ inputs.family }}",
        "FORCE": "${{ inputs.force }}",
        "BOOMERANG_URL": "${{ secrets.BOOMERANG_URL }}",
        "BOOMERANG_API_KEY": "${{ secrets.BOOMERANG_API_KEY }}",
    }
    fake = tmp_path / "bin" / "boomerang"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@" > "$ARGUMENTS"\necho "f1: whole"\n'
        '[ "$BOOMERANG_API_KEY" = key ] || exit 9\nexit "$CODE"\n'
    )
    fake.chmod(0o755)

    def run(code: int = 0, **environment: str) -> tuple[int, list[str], str]:
        arguments = tmp_path / "arguments"
        arguments.unlink(missing_ok=True)
        given = {
            "FAMILY": "",
            "FORCE": "",
            "BOOMERANG_URL": "https://b",
            "BOOMERANG_API_KEY": "key",
        }
        result = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=tmp_path,
            env=given
            | environment
            | {"PATH": f"{fake.parent}:/usr/bin:/bin", "ARGUMENTS": str(arguments)}
            | {"CODE": str(code)},
            capture_output=True,
            text=True,
            timeout=20,
        )
        called = arguments.read_text().splitlines() if arguments.exists() else []
        return result.returncode, called, result.stderr

    return run


def test_schedule_rebuilds_every_family(rebuild):
    # Without inputs both are empty, as on a schedule.
    assert rebuild()[:2] == (0, ["rebuild", "--wait", "--url", "https://b", "--all"])


def test_one_family_by_hand(rebuild):
    asked = rebuild(FAMILY="0123456789ab", FORCE="false")
    assert asked[1] == ["rebuild", "--wait", "--url", "https://b", "--", "0123456789ab"]
    forced = rebuild(FAMILY="0123456789ab", FORCE="true")
    assert forced[1] == ["rebuild", "--wait", "--url", "https://b", "--force", "--", "0123456789ab"]


@pytest.mark.parametrize("family", ["--all", "$(touch owned)", "a b; touch owned"])
def test_a_family_is_never_an_option_or_code(rebuild, tmp_path, family):
    assert rebuild(FAMILY=family)[1][-2:] == ["--", family]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("code", [0, 1, 7])
def test_exit_code_decides_and_the_report_is_shown(rebuild, tmp_path, code):
    summary = tmp_path / "summary"
    assert rebuild(code=code, GITHUB_STEP_SUMMARY=str(summary))[0] == code
    assert summary.read_text() == "~~~~\nf1: whole\n~~~~\n"


@pytest.mark.parametrize("secret", ["BOOMERANG_URL", "BOOMERANG_API_KEY"])
def test_a_missing_secret_is_named_and_nothing_is_asked(rebuild, secret):
    code, called, said = rebuild(**{secret: ""})
    assert code != 0
    assert called == []
    assert f"set the secret {secret}" in said


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["torch==2.1", "psycopg[binary]>=3", "Fast_API>=1,<2"]\n'
        '[project.optional-dependencies]\ntraces = ["starlette>=8"]\n'
    )
    (tmp_path / "requirements.lock").write_text(
        "# made by a tool\n--index-url https://example.org\nfast-api==1.5 \\\n    --hash=sha256:0\n"
        "psycopg[binary]==3.3 ; python_version > '3'\ntorch==2.1+cpu\nstarlette==9.0  # via\n"
    )
    return tmp_path


def test_pins_leave_out_what_is_named_and_pin_the_rest(small_project):
    asked = ["-c constraints.txt", "psycopg[binary]==3.3", "fast-api==1.5"]
    for extra in ([], ["traces"]):
        result = pins(small_project, "--without", "Torch", *(["--extra"] * len(extra)), *extra)
        assert result.returncode == 0, result.stderr
        requirements = (small_project / "pins/requirements.txt").read_text().splitlines()
        assert requirements == asked + ["starlette==9.0"] * len(extra)
    constraints = (small_project / "pins/constraints.txt").read_text().split()
    assert sorted(constraints) == ["fast-api==1.5", "psycopg==3.3", "starlette==9.0", "torch==2.1"]


def test_pins_refuse_a_stale_lock_and_an_unknown_name(small_project):
    result = pins(small_project, "--without", "tensorflow")
    assert result.returncode == 1
    assert "--without tensorflow" in result.stderr
    result = pins(small_project, "--extra", "tasks")
    assert result.returncode == 1
    assert "--extra tasks" in result.stderr
    (small_project / "requirements.lock").write_text("torch==2.1\n")
    result = pins(small_project)
    assert result.returncode == 1
    assert "fast-api psycopg" in result.stderr
