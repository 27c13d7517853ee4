"""Folders of the machine are told nowhere, and addresses of ours are told as they are."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from app.errors import install
from boomerang.catalog.records.states import Fact
from boomerang.processes.redacted import redact_logs
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings
from tests.app.conftest import Front

pytestmark = pytest.mark.slow("a front end whose folders have names of every kind")

ROUTES = ("/models", "/families", "/events", "/api", "/api/models", "/docs", "/static",
          "/boomerang", "/webhooks", "/healthz", "/data", "/m", "/srv/models")  # fmt: skip


def redactor(home: str, models: str | None = None) -> Redactor:
    return Redactor(Settings(home=Path(home), models=Path(models) if models else None))


@pytest.mark.parametrize("folder", ROUTES)
def test_a_folder_is_named_by_its_setting_and_an_address_stays(folder: str) -> None:
    redact = redactor("/var/lib/boomerang", folder)
    for path in ("", "/", "/texts/a.jsonl"):
        for before, after in (("", ""), ("'", "'"), ("no text in ", "."), ("(", ")"), ("=", ", x")):
            said = f"{before}{folder}{path}{after}"
            assert redact(said) == f"{before}$BOOMERANG_MODELS{path}{after}", said
    for kept in (f"http://127.0.0.1:8000{folder}/x", f"https://hub.example{folder}",
                 f"http://[::1]{folder}/x", f"GET {folder}/x tells", f"POST {folder} again",
                 f"me{folder}/x", f"/srv/other{folder}/x", f"{folder}-too/x", f"{folder}x",
                 f"{folder}.old/x"):  # fmt: skip
        assert redact(kept) == kept


def test_the_longest_folder_counts() -> None:
    redact = redactor("/models/home", "/models")
    assert redact("/models/home/x and /models/x") == "$BOOMERANG_HOME/x and $BOOMERANG_MODELS/x"
    assert redact(f"{os.path.expanduser('~')}/x") == "~/x"


def test_a_link_to_a_folder_and_the_folder_are_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    redact = redactor("/var/lib/boomerang", str(tmp_path / "link"))
    said = f"{tmp_path}/real/x and {tmp_path}/link/x"
    assert redact(said) == "$BOOMERANG_MODELS/x and $BOOMERANG_MODELS/x"


@given(st.text(), st.sampled_from(ROUTES), st.text())
def test_what_holds_no_folder_is_not_changed(before: str, folder: str, after: str) -> None:
    redact = redactor("/var/lib/boomerang", "/a-folder-of-models")
    said = f"{before}{folder}{after}".encode("utf-8", "replace").decode()
    assert redact(said) == said


def answers(front: Front, family: str) -> dict[str, str]:
    """What every address with records in it answers, to programs and to browsers."""
    size = front.catalog.members(family)[0].size
    paths = ["/", "/models", "/families", f"/families/{family}", f"/models/{size}?family={family}",
             f"/api/models/boomerang/teacher-{size}", "/api/models", "/nowhere"]  # fmt: skip
    found = {}
    for path in paths:
        for accept in ("application/json", "text/html"):
            found[f"{path} {accept}"] = front.client.get(path, headers={"Accept": accept}).text
    with front.client.stream("GET", f"/families/{family}/events") as events:
        text = ""
        for chunk in events.iter_text():
            text += chunk
            if "the end" in text:
                break
    return found | {"events": text}


@pytest.mark.parametrize("folder", ["/models", "/families", "/static"])
def test_links_lead_somewhere_whatever_a_folder_is_called(
    folder: str, make_front: Callable[..., Front]
) -> None:
    # Any of the folders will do, and this one need not be there.
    front = make_front(BOOMERANG_DATA=folder)
    family = front.ready(data="texts", publish={"namespace": "me"})
    here = f"[Errno 28] No space left on device: '{folder}/x/model.safetensors'"
    front.catalog.set_fact(family.id, 0, "built", Fact.FAILED, here)
    front.catalog.set_measuring(family.id, Fact.FAILED, f"no text in {folder}")
    front.catalog.set_request(
        front.catalog.requests(family.id)[0].id, Fact.FAILED, f"{here}: the end"
    )
    found = answers(front, family.id)
    links = set()
    for name, text in found.items():
        assert f"{folder}/x/" not in text, name
        assert f"no text in {folder}" not in text, name
        links |= set(re.findall(r'(?:href|src|"url")(?:=|: ?)"(/[^"#]*)"', text))
    assert f"/families/{family.id}" in links
    assert {link.partition("?")[0] for link in links} >= {
        f"/models/{member.size}" for member in front.catalog.members(family.id)
    }
    for link in links:
        # To programs the form is its ladder, which needs a teacher.
        asks = {"Range": "bytes=0-9"} | ({"Accept": "text/html"} if link == "/new" else {})
        answer = front.client.get(link.replace("&amp;", "&"), headers=asks)
        assert answer.status_code in (200, 206), link
    for name in ("/models application/json", "events", f"/families/{family.id} text/html"):
        assert "$BOOMERANG_DATA/x/model.safetensors" in found[name], name


def test_what_a_client_sent_is_shown_as_it_came(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_DATA="/models")
    assert front.client.get("/models/a/b/c").json()["value"] != ""
    assert front.client.get("/models-of-others").json()["value"] == "/models-of-others"
    assert front.client.get("/families/x/y/z").json()["value"] == "/families/x/y/z"
    answer = front.client.post("/families", json={"teacher": ["/models/x"]})
    assert answer.json()["value"] == ["/models/x"]


def test_tokens_of_the_hub_are_told_and_logged_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    redact = redactor("/var/lib/boomerang")
    tokens = ("hf_" + "aB3" * 12, "hf_oauth_eyJhbGci.eyJzdWIi-x.c2ln_n")
    for token in tokens:
        assert redact({"said": f"Bearer {token}, refused"}) == {"said": "Bearer hf_…, refused"}
    kept = "hf_xet and hf_hub_download of org/hf_model"
    assert redact(kept) == kept
    before = logging.getLogRecordFactory()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.Logger("of its own")
    log.addHandler(handler)
    redact_logs()
    try:
        try:
            raise ValueError(f"no {tokens[0]}")
        except ValueError:
            log.exception("with %s", tokens[1])
    finally:
        logging.setLogRecordFactory(before)
    said = capfd.readouterr().err
    assert said.startswith("with hf_…\nTraceback")
    assert "ValueError: no hf_…" in said
    assert not any(token in said for token in tokens)


def test_a_database_that_is_away_is_no_fault_of_the_service() -> None:
    """Chaos, seed 1: while PostgreSQL was down clients were told that the service has a fault."""
    app = FastAPI()
    install(app, lambda text: text, lambda _, answer: answer)  # type: ignore[arg-type]

    @app.get("/{how}")
    def ask(how: str) -> None:
        raise OperationalError("SELECT hush", {}, Exception("hush")) if how == "away" else KeyError

    with TestClient(app, raise_server_exceptions=False) as client:
        away, fault = client.get("/away"), client.get("/fault")
    assert (away.status_code, away.headers["retry-after"]) == (503, "5")
    assert "hush" not in away.text
    assert fault.status_code == 500
