"""A server between a client and ours: it keeps what was asked, and can break an answer in two."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class Relay:
    """What it saw, as `METHOD /path` or `METHOD /path RANGE`; `cut` breaks the next such answer."""

    def __init__(self, target: str) -> None:
        self.asked: list[str] = []
        self.cut: str | None = None
        self.client = httpx.Client(base_url=target, trust_env=False, timeout=60)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def fetched(self) -> set[str]:
        """The files whose bytes were asked for."""
        lines = [line.split() for line in self.asked if "/resolve/" in line]
        return {parts[1].split("/", 5)[5] for parts in lines if parts[0] == "GET"}


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            span = self.headers.get("Range", "")
            relay.asked.append(f"{self.command} {self.path} {span}".strip())
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            got = relay.client.request(self.command, self.path, headers=headers, content=body)
            self.send_response_only(got.status_code)
            for key, value in got.headers.multi_items():
                self.send_header(key, value)
            self.end_headers()
            content = got.content
            if relay.cut is not None and self.command == "GET" and relay.cut in self.path:
                relay.cut = None
                content, self.close_connection = content[: len(content) // 2], True
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def relaying(target: str) -> Iterator[Relay]:
    """A relay to an address, in threads of this process."""
    relay = Relay(target)
    thread = threading.Thread(target=relay.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.server.shutdown()
        relay.server.server_close()
        relay.client.close()
        thread.join(10)
