"""TCP proxies that cut, refuse, slow down or hold back what goes through them."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal

Mode = Literal["pass", "refuse", "slow", "hold"]
_SLOW_SECONDS = 0.3
_BYTES = 1 << 16


class Proxy:
    """A way to a port of this machine; `port` is its own. Runs in a thread until it is closed."""

    def __init__(self, target: int) -> None:
        self.target, self.mode = target, "pass"
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    def set(self, mode: Mode) -> None:
        """What becomes of bytes from now on; with `refuse` of connections, too."""
        self.mode = mode
        if mode == "refuse":
            self.cut()

    def cut(self) -> None:
        """Break every connection that there is, in the middle of whatever it carries."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def close(self) -> None:
        """End it, with all connections."""

        async def end() -> None:
            self._server.close()
            self._abort()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for one in others:
                one.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._open -= {writer, back}
            for one in (writer, back):
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_BYTES):
                if self.mode == "slow":
                    await asyncio.sleep(_SLOW_SECONDS)
                while self.mode == "hold":
                    await asyncio.sleep(0.05)
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
