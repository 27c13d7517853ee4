"""The command line as a process, and a service for it to talk to: a stub on a real socket."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def boomerang(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BOOMERANG_")}
    return subprocess.run(
        [sys.executable, "-m", "boomerang", *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "HF_ENDPOINT": "http://127.0.0.1:9", **environment},
    )


def told(*arguments: object, **environment: str) -> Any:
    """The JSON that a command prints, which must succeed."""
    done = boomerang(*arguments, "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def error(*arguments: object, status: int = 1, **environment: str) -> str:
    """The one line that a command which must fail says."""
    done = boomerang(*arguments, **environment)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout == ""
    *_, line = lines = done.stderr.splitlines()
    assert len([one for one in lines if one.startswith("error: ")]) == 1
    assert "Traceback" not in done.stderr
    assert line.startswith("error: ")
    return line


class Stub:
    """Answers by path; `states` is what a family looks like at each successive GET.

    `planned` is what the answer to a request for one says beside what it always does, `rebuilds`
    what its rebuild looks like at each successive GET.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str | None]] = []
        self.states: list[dict[str, Any]] = []
        self.planned: dict[str, Any] = {}
        self.rebuilds: list[dict[str, Any]] = []
        self.problem: tuple[int, dict[str, Any]] | None = None
        self.busy = 0
        self.tokens: list[str | None] = []
        self.url = ""

    def answer(self, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
        self.asked.append((method, path, body, key))
        if self.busy:
            self.busy -= 1
            return 503, {"detail": "The Hub is busy.", "fix": "Ask again."}
        if self.problem is not None:
            return self.problem
        if method == "POST" and path == "/families":
            budget = {"asked": body["budget"], "size": "1K", "parameters": 1000, "below_by": 7}
            return 202, {**family("queued", **self.planned), "budget": budget}
        if path == "/rebuilds":
            asked = [{"family": "f1", "id": 3}, {"family": "f2", "id": 4}]
            return 202, {"rebuilds": asked, "waiting": []}
        if method == "POST":
            hashing = "provisional" in self.states[0]
            return 202, {**self.states[0], **({} if hashing else {"rebuild": 3})}
        if "/rebuilds/" in path:
            return 200, self.rebuilds.pop(0)
        if path == "/families":
            return 200, {"families": [{"id": "f1"}, {"id": "f2"}]}
        return 200, self.states.pop(0) if len(self.states) > 1 else self.states[0]


def family(state: str, measuring: str = "no", **more: Any) -> dict[str, Any]:
    """A family as the service shows it."""
    student = {"state": state, "reason": None, "step": 1, "steps": 2, "loss": 1.5, "eta_s": 3.0}
    member = {
        "size": "1K", "k": 0, "code": "ss+sss", "layers": 2, "parameters": 1000,
        "built": "no", "measured": "no",
        "published": "no", "repo": None, "perplexity": None, "kl": None,
        "naive_perplexity": None, "naive_kl": None,
    }  # fmt: skip
    chosen = "last" if state == "ready" and measuring != "no" else None
    return {
        "id": "f1", "teacher": "t", "order": "auto", "chosen": chosen, "student": student,
        "measuring": measuring, "measuring_reason": None, "members": [member], "wants": [],
    } | more  # fmt: skip


def rebuilding(state: str, reason: str | None = None, **report: Any) -> dict[str, Any]:
    """A rebuild as the service shows it."""
    kinds = ("teachers", "students", "members", "folders", "repositories")
    found = {"looked": dict.fromkeys(kinds, 1) | {"bytes": 1234567}}
    found |= {key: [] for key in ("broken", "mended", "unseen", "notes")} | report
    return {"id": 3, "family": "f1", "state": state, "reason": reason, "report": found}


@contextmanager
def listening(stub: Stub) -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply("GET", None)

        def do_POST(self) -> None:
            self.reply("POST", json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def reply(self, method: str, body: Any) -> None:
            key = self.headers.get("authorization")
            stub.tokens.append(self.headers.get("x-hub-token"))
            status, value = stub.answer(method, self.path, body, key)
            self.say(status, json.dumps(value).encode(), "application/json")

        def say(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status == 503:
                self.send_header("Retry-After", "1" if stub.busy else "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
