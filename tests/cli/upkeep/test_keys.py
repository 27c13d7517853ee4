"""`boomerang keys` and `boomerang audit`, as processes: on a catalog, and through a service."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from boomerang.cli.upkeep.keys import keys
from boomerang.errors import BoomerangError
from tests.app.conftest import Front
from tests.support.cli_stub import boomerang, error, told
from tests.support.models import Duo, duo


@pytest.fixture
def models(tmp_path: Path) -> Duo:
    return duo(tmp_path / "models", "llama")


@pytest.fixture
def front(tmp_path: Path, models: Duo) -> Iterator[Front]:
    opened = Front(tmp_path / "front", models)
    yield opened
    opened.close()


@pytest.mark.long("the command line as a process, many times, and a front end")
def test_keys_are_made_on_the_catalog_and_through_a_service(front: Front) -> None:
    here = {"BOOMERANG_HOME": str(front.home)}
    made = boomerang("keys", "create", "root", "--scope", "admin", "--expires", "90d", **here)
    assert made.returncode == 0, made.stderr
    root = made.stdout.strip()
    assert re.fullmatch(r"bmr_k[a-z0-9]{11}_[A-Za-z0-9_-]{43}", root)
    assert root not in made.stderr
    assert "shown once" in made.stderr
    front.start()
    there = {"BOOMERANG_URL": front.base, "BOOMERANG_API_KEY": root}
    quotas = '{"families_per_day": 5}'
    ci = told("keys", "create", "ci", "--scope", "build", "--quotas", quotas, **there)
    assert ci["quotas"] == {"families_per_day": 5}
    assert front.client.get("/models", headers={"Authorization": f"Bearer {ci['key']}"}).is_success
    found = told("keys", "list", **there)
    assert [(one["name"], one["scope"]) for one in found["keys"]] == [
        ("root", "admin"), ("ci", "build"),
    ]  # fmt: skip
    assert ci["key"] not in str(found)
    said = boomerang("keys", "revoke", ci["id"], **there).stdout
    assert said == f"ci ({ci['id']}) is revoked.\n"
    listed = boomerang("keys", "list", **here).stdout
    assert re.search(r"ci .* revoked", listed)
    assert re.search(r"root .* live", listed)
    for where in (here, there):
        deeds = told("audit", **where)["deeds"]
        assert [(one["action"], one["subject"], one["name"]) for one in deeds] == [
            ("keys.revoke", ci["id"], "root"), ("keys.create", ci["id"], "root"),
            ("keys.create", root.split("_")[1], deeds[-1]["name"]),
        ]  # fmt: skip
        assert deeds[-1]["name"].startswith("operator")


@pytest.mark.slow("the command line as a process")
def test_what_is_wrong_with_a_key_is_one_line(tmp_path: Path) -> None:
    here = {"BOOMERANG_HOME": str(tmp_path)}
    assert "no key 'nobody'" in error("keys", "revoke", "nobody", **here)
    for arguments, said in (
        (("--scope", "read", "--expires", "soon"), "90d"),
        (("--scope", "owner"), "read, build, publish, admin"),
        (("--scope", "read", "--quotas", '{"cake": 1}'), "families_per_day"),
        (("--scope", "read", "--quotas", "{"), "no JSON"),
    ):
        done = CliRunner().invoke(keys, ["create", "x", *arguments], env=here)
        assert isinstance(done.exception, BoomerangError)
        assert said in str(done.exception)
