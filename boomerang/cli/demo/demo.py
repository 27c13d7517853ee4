"""The demo: one request, end to end, on the small teacher of the examples.

A service with embedded parts in a fresh folder, `boomerang serve` as a child, stopped in the end; a
distillation; three sizes downloaded whole; every size loaded by name with transformers, measured
and asked for a line of text.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import typer

from boomerang.checkpoint.table import Checkpoint
from boomerang.cli.demo.table import explanation, findings, lines_of_text, measures_table
from boomerang.cli.progress import Bar, duration
from boomerang.cli.service.asking import wait_made
from boomerang.cli.service.client import Service
from boomerang.cli.show import budget_line, layers_line, order_line, terminal
from boomerang.errors import BadRequest, BoomerangError, CorruptCheckpoint
from boomerang.processes.json_lines import JobFailed

TEACHER = "kjv/KJV-1.4M"
DATA = "kjv"
BUDGET = "1.25M"
START_SECONDS = 120.0
STOP_SECONDS = 60.0
MARK = ".boomerang-demo"
"""The file that tells a home of the demo's from a folder of somebody's own."""


def demo(
    home: Annotated[Path, typer.Option(help="Folder of the demo's service.")] = Path(".demo"),
    examples: Annotated[Path, typer.Option(help="Folder of the examples.")] = Path("examples"),
    recipe: Annotated[str, typer.Option(help="Name of a recipe.")] = "kjv",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
) -> None:
    """Distil the small teacher of the examples and show every size of its family."""
    began = time.monotonic()
    say = terminal().print
    for folder in (examples / TEACHER, examples / DATA):
        if not folder.is_dir():
            raise BadRequest(
                f"There is no folder {str(folder)!r}.",
                value=str(folder),
                fix="Run the demo in the repository, or give --examples.",
            )
    fresh_home(home)
    with serving(home, examples, port) as (url, _), Service(url) as service:
        say(f"The service runs at {url}; everything it keeps is in {home}.")
        family = made(service, recipe, say)
        say(f"\nDistilled and measured in {duration(time.monotonic() - began)}. Downloading three:")
        for member in three(family["members"]):
            say(downloaded(service, member, home / "downloads"))
        say("\nLoading every size with transformers, by name, from the service:")
        seen = from_hub(url, family, examples / DATA, home)
    say(measures_table(family, seen))
    for line in (*explanation(family), order_line(family["chosen"]), *findings(family, seen)):
        say(line)
    say("")
    say(lines_of_text(family, seen))
    say(
        f"Done in {duration(time.monotonic() - began)}. The service is stopped. `make serve` starts"
    )
    say("it again with what it made; then the dashboard is at http://127.0.0.1:8000/")


def fresh_home(home: Path) -> None:
    """Make an empty home, where there is none or one of an earlier demo. Raises BadRequest."""
    if home.is_symlink() or (home.exists() and not (home / MARK).is_file()):
        if home.is_symlink() or not home.is_dir() or any(home.iterdir()):
            raise BadRequest(
                f"{str(home)!r} is no folder that the demo made, so it is not removed.",
                value=str(home),
                fix="Give another one with --home.",
            )
    elif home.exists():
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()


def made(service: Service, recipe: str, say: Any) -> dict[str, Any]:
    """Ask for the family, follow it on a bar, say what its student keeps, and return it measured.

    Raises NotMade.
    """
    asked = {"teacher": TEACHER, "data": DATA, "recipe": recipe, "order": "auto", "budget": BUDGET}
    family = service.post("/families", asked)
    sizes = ", ".join(member["size"] for member in family["members"])
    say(f"POST /families {json.dumps(asked)}")
    say(f"Planned from headers alone: {sizes}. {budget_line(family['budget'])}")
    if family.get("ladder") == "provisional":
        say("These are provisional: which layers the student keeps is measured first.")
    say("")
    done = wait_made(service, family["id"], "queued")
    student = done["student"]
    say(layers_line(student, student["map_rule"], student["map_reason"]))
    return done


def three(members: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The student, one in the middle, and the largest below the teacher."""
    below = members[:-1]
    chosen = dict.fromkeys((0, len(below) // 2, len(below) - 1))
    return [below[index] for index in chosen]


def downloaded(service: Service, member: Mapping[str, Any], folder: Path) -> str:
    """Download a size as a tar, unpack it and check its headers; return what to say of it.

    Raises Unreachable, Refused or CorruptCheckpoint.
    """
    folder.mkdir(exist_ok=True)
    to = folder / f"{member['size']}.tar"
    began = time.monotonic()
    with Bar(f"{member['size']}.tar", size=True) as bar:
        size = service.download(str(member["url"]), to, bar.count)
    took = time.monotonic() - began
    with tarfile.open(to) as tar:
        top = tar.getnames()[0].split("/")[0]
        tar.extractall(folder, filter="data")
    stored = Checkpoint.open(folder / top).parameters
    if stored != member["parameters"]:
        raise CorruptCheckpoint(
            f"{top} has {stored:,} parameters instead of {member['parameters']:,}.", value=top
        )
    built = "" if member["built"] == "yes" else ", never built"
    return f"  {top}: {size:,} bytes in {took:.2f} s{built}; {stored:,} parameters"


def from_hub(url: str, family: Mapping[str, Any], data: Path, home: Path) -> list[dict[str, Any]]:
    """Every size, smallest first, as a fresh process finds it by name at the service.

    Raises JobFailed where one does not load.
    """
    names = [str(member["hub_id"]) for member in family["members"]]
    path, log = home / "from_hub.json", home / "from_hub.log"
    # Windows as long as those the service measures with, or the figures could not be compared.
    length = int(family["student"]["recipe"]["sequence_length"])
    job = {"models": names, "data": str(data.absolute()), "length": length}
    path.write_text(json.dumps(job), "utf-8")
    # A fresh cache, the service as the Hub, and nobody's token.
    environment = environment_without("HF_") | {
        "HF_ENDPOINT": url,
        "HF_HOME": str((home / "hf").absolute()),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    found: list[dict[str, Any]] = []
    with (
        Bar("loading") as bar,
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "boomerang.quality.from_hub", str(path)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        bar.count(0, len(names))
        for line in process.stdout or ():
            said = json.loads(line)
            if "error" in said:
                raise JobFailed(str(said["error"]), fix=f"See {log}.")
            found.append(said)
            bar.count(len(found), len(names))
    if process.returncode != 0 or len(found) != len(names):
        raise JobFailed(f"Loading from {url} ended early.", fix=f"See {log}.")
    return found


class NotServed(BoomerangError):
    """The demo's service did not start."""

    slug, title = "not-served", "The service did not start"


@contextmanager
def serving(
    home: Path, examples: Path, port: int, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Serve `examples` from `home`; yield URL and process id once it is ready. Raises NotServed."""
    if port == 0:
        # One that nobody listens on now.
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
    url, log = f"http://127.0.0.1:{port}", home / "serve.log"
    # The settings of another service are not this one's.
    ours = environment_without("BOOMERANG_", "REDIS_URL", "DATABASE_URL", "HF_ENDPOINT") | {
        "BOOMERANG_HOME": str(home.absolute()),
        "BOOMERANG_MODELS": str(examples.absolute()),
        **(settings or {}),
    }
    command = [sys.executable, "-m", "boomerang", "serve", "--port", str(port)]
    with log.open("w", encoding="utf-8") as output:
        # A session of its own: ^C reaches the demo alone, which then stops the service in order.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=ours, start_new_session=True
        )
        # Told to stop, this process must not leave the service behind.
        before = signal.signal(signal.SIGTERM, _exit)
        try:
            _wait_ready(process, url, log)
            yield url, process.pid
        finally:
            signal.signal(signal.SIGTERM, before)
            _stop(process)


def environment_without(*beginnings: str) -> dict[str, str]:
    """The environment of this process, but for what begins so."""
    return {key: value for key, value in os.environ.items() if not key.startswith(beginnings)}


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    said = log.read_text("utf-8", errors="replace").strip().splitlines()
    raise NotServed(
        f"The service did not come up: {said[-1] if said else 'it said nothing'}.",
        value=url,
        fix=f"See {log} and the folder logs beside it.",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
