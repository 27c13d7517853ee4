"""`boomerang keys` and `boomerang audit`, as processes: on a catalog, and through a service."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import Front
from tests.support.cli_stub import boomerang, error, told
from tests.support.models import Duo, duo

pytestmark = pytest.mark.slow("the command line as a process, a few times, and a front end")


@pytest.fixture
def models(tmp_path: Path) -> Duo:
    return duo(tmp_path / "models", "llama")


@pytest.fixture
def front(tmp_path: Path, models: Duo) -> Iterator[Front]:
    opened = Front(tmp_path / "front", models)
    yield opened
    opened.close()


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
    both = [told("keys", "list", **here), told("keys", "list", **there)]
    for found in both:
        assert [(one["name"], one["scope"]) for one in found["keys"]] == [
            ("root", "admin"), ("ci", "build"),
        ]  # fmt: skip
        assert ci["key"] not in str(found)
    assert "ci is revoked" in boomerang("keys", "revoke", ci["id"], **there).stdout.replace(
        f" ({ci['id']})", ""
    )
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
    assert "keys.revoke" in boomerang("audit", "--key", "root", **here).stdout


def test_what_is_wrong_with_a_key_is_one_line(tmp_path: Path) -> None:
    here = {"BOOMERANG_HOME": str(tmp_path)}
    assert "90d" in error("keys", "create", "x", "--scope", "read", "--expires", "soon", **here)
    assert "scope" in error("keys", "create", "x", "--scope", "owner", **here)
    said = error("keys", "create", "x", "--scope", "read", "--quotas", '{"cake": 1}', **here)
    assert "families_per_day" in said
    assert "cake" in said
    assert "no JSON" in error("keys", "create", "x", "--scope", "read", "--quotas", "{", **here)
    assert "no key 'nobody'" in error("keys", "revoke", "nobody", **here)
