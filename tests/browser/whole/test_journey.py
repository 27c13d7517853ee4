"""A person's whole way, in a real browser against a whole service: by keyboard, from key to Hub."""

import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.homes.make import is_up, make_models, wait_for
from tests.local_hub.fixture import LocalHub, running
from tests.local_hub.repos import OWNER

pytestmark = [pytest.mark.browser, pytest.mark.long("a whole service, and a distillation in it")]

KEY = "k" * 40
PATIENCE = 120_000
"""Milliseconds that a step may take: two cores distil, measure and write beside a browser."""


@dataclass
class Person:
    """Who sits at a browser, what it said on its console, and which hosts it asked."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def listen(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on(
            "console", lambda message: self.said.append(f"{message.text} {message.location}")
        )
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(urlsplit(request.url).netloc))

    def keys(self, *pressed: str) -> None:
        for key in pressed:
            self.page.keyboard.press(key)

    def reach(self, selector: str) -> None:
        """Press Tab until the focus is there. Fails where it never is."""
        for _ in range(120):
            if self.page.evaluate("s => document.activeElement?.matches(s) ?? false", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {selector}")

    def write(self, selector: str, text: str) -> None:
        self.reach(selector)
        self.keys("Control+A")
        self.page.keyboard.type(text)

    def sees(self, selector: str) -> Any:
        self.page.wait_for_selector(selector)
        return self.page.locator(selector).first


@contextmanager
def service(folder: Path, hub: LocalHub) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    make_models(folder / "models")
    places = {
        "BOOMERANG_HOME": str(folder / "home"), "BOOMERANG_MODELS": str(folder / "models"),
        "BOOMERANG_API_KEYS": KEY, "BOOMERANG_RECIPE": "smoke", "BOOMERANG_PLAY": "true",
        "BOOMERANG_NAMESPACE": "me", "HF_ENDPOINT": hub.url, "HF_TOKEN": OWNER,
        "HF_HOME": str(folder / "hf"),
    }  # fmt: skip
    command = [sys.executable, "-m", "boomerang", "serve", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | places, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, trust_env=False) as client:
            wait_for(lambda: is_up(client))
        yield base
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    with running(tmp_path / "hub") as found:
        yield found


def test_from_a_key_to_a_published_size_by_keyboard_alone(
    browser: Any, tmp_path: Path, hub: LocalHub
) -> None:
    with service(tmp_path, hub) as base:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        person = Person(context.new_page())
        person.listen()
        log_in(person, base)
        family = ask(person, base)
        watch(person)
        size = choose(person)
        try_two(person, base, family, size)
        folder = downloaded(person, base, family, size, tmp_path / "unpacked")
        assert f"{loads(folder):,} parameters" in person.page.locator("main").inner_text()
        repo = publish(person, hub)
        wait_for(lambda: "model.safetensors" in hub.files(repo))
        assert hub.files(repo)["model.safetensors"] == (folder / "model.safetensors").read_bytes()
        cancel(person, base)
        context.close()
        assert person.asked == {urlsplit(base).netloc}
        assert unexpected(person.said) == []


def unexpected(said: list[str]) -> list[str]:
    """What the console said, but for answers that were provoked: a browser logs those itself."""
    provoked = ("401 (Unauthorized)", "404 (Not Found)", "422 (Unprocessable")
    return [line for line in said if not any(part in line for part in provoked)]


def log_in(person: Person, base: str) -> None:
    person.page.goto(f"{base}/new")
    assert urlsplit(person.page.url).path == "/login"
    person.write("#key", "not the key")
    person.keys("Enter")
    assert person.sees("#wrong").inner_text()
    person.write("#key", KEY)
    person.keys("Enter")
    person.page.wait_for_url(f"{base}/new")


def ask(person: Person, base: str) -> str:
    """Ask for a family through the form, with an error on the way; its id."""
    person.write("#teacher", "nothing")
    person.keys("Escape", "Tab")
    assert "nothing" in person.sees("#field-teacher .error").inner_text()
    person.write("#teacher", "teacher")
    person.keys("Escape", "Tab")
    person.sees("#ladder #size")
    person.write("#text", "texts")
    person.reach("#size")
    before = person.page.locator("#size-name").inner_text()
    person.keys("ArrowRight")
    assert person.page.locator("#size-name").inner_text() != before
    person.reach("#distil")
    person.keys("Enter")
    person.page.wait_for_url(f"{base}/families/*")
    return urlsplit(person.page.url).path.rsplit("/", 1)[-1]


def watch(person: Person) -> None:
    """Its page goes on by itself, until the student is ready and its sizes are measured."""
    person.sees("#head .badge.ready")
    person.sees("#sizes .chart")


def choose(person: Person) -> str:
    """Move the slider on the family's page: figures and layers follow; the chosen size."""
    name = person.page.locator("#chosen [data-cell=parameters]")
    before = name.inner_text()
    person.reach("#slide")
    person.keys("ArrowRight" if person.page.locator("#slide").input_value() == "0" else "ArrowLeft")
    person.page.wait_for_function(
        "was => document.querySelector('#chosen [data-cell=parameters]').textContent != was",
        arg=before,
    )
    size = str(name.inner_text())
    assert person.page.locator(f".layers [data-size='{size}'].chosen").count() == 1
    return size


def try_two(person: Person, base: str, family: str, size: str) -> None:
    """Two sizes answer side by side."""
    person.page.goto(f"{base}/play?family={family}&size={size}")
    boxes = person.page.locator("input[name=size]")
    other = next(
        box for box in boxes.all() if box.get_attribute("value") != size and not box.is_checked()
    )
    for box in boxes.all():
        if box.is_checked() and box.get_attribute("value") != size:
            box.uncheck()
    person.reach(f"input[name=size][value='{other.get_attribute('value')}']")
    person.keys("Space")
    person.write("#prompt", "in the beginning")
    person.keys("Control+Enter")
    done = "[...document.querySelectorAll('#written .state')].filter(s => s.textContent == 'done')"
    person.page.wait_for_function(f"() => {done}.length == 2")
    assert all(
        "tokens/s" in one for one in person.page.locator("#written .figures").all_inner_texts()
    )


def downloaded(person: Person, base: str, family: str, size: str, folder: Path) -> Path:
    """The size as the page gives it, unpacked."""
    person.page.goto(f"{base}/models/{size}?family={family}")
    with person.page.expect_download() as download:
        person.reach("a[download]")
        person.keys("Enter")
    with tarfile.open(download.value.path()) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.rglob("config.json")).parent


def loads(folder: Path) -> int:
    """Its parameters, as transformers loads it with nothing missing."""
    code = (
        "import sys, transformers as t\n"
        "m, said = t.AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)\n"
        "assert not said['missing_keys'] and not said['unexpected_keys'], said\n"
        "print(m.num_parameters())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def publish(person: Person, hub: LocalHub) -> str:
    """Publish the size of this page; its repository on the Hub."""
    person.reach("details.publish summary")
    person.keys("Enter")
    person.reach("details.publish button")
    person.keys("Enter")
    person.page.wait_for_load_state()
    wait_for(lambda: [id for id in hub.store.repos if id.startswith("me/")])
    return next(id for id in hub.store.repos if id.startswith("me/"))


def cancel(person: Person, base: str) -> None:
    """Ask for a family that takes long, and stop it on its page."""
    person.page.goto(f"{base}/new?teacher=teacher&recipe=default")
    person.sees("#ladder #size")
    person.write("#text", "texts")
    person.reach("#distil")
    person.keys("Enter")
    person.page.wait_for_url(f"{base}/families/*")
    person.sees("#head .badge.distilling")
    person.reach("form[action$='/cancel'] button")
    person.keys("Enter")
    person.sees("#head .badge.cancelled")
