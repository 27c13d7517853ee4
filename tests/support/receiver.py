"""Somebody who is told: an HTTP server on a real socket that takes notices, or does not."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

How = Literal["take", "busy", "cut", "hold", "redirect", "drip"]

SECRET = "whsec_" + "c2VjcmV0" * 4


class Receiver:
    """Does with each request in turn what `plan` says, and takes those that come later."""

    def __init__(self) -> None:
        self.plan: list[How] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.released = threading.Event()
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/hook") -> str:
        return f"http://{self.host}{path}"


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver, over TLS where there is a context for it."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = headers, self.rfile.read(int(headers["content-length"]))
            receiver.got.append(told)
            how = receiver.plan.pop(0) if receiver.plan else "take"
            if how == "hold":
                receiver.released.wait(60)
            if how in ("hold", "cut"):
                self.close_connection = True
                self.connection.close()
                return
            if how == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not receiver.released.wait(0.05):
                    self.wfile.write(b"x")
                return
            if how == "take":
                receiver.taken.append(told)
            self.send_response({"take": 200, "busy": 503, "redirect": 307}[how])
            self.send_header("Location", receiver.url("/other"))
            # More than anybody would read.
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
            time.sleep(0.01)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever sent it has gone, which is what is tried here."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
