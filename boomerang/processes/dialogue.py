"""A child that answers requests, one after another, to somebody who waits for each answer."""

import queue
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from boomerang.errors import BoomerangError, Interrupted
from boomerang.processes.json_lines import JobFailed
from boomerang.processes.talking import Talking

_STOP_SECONDS = 5.0


class AskFailed(BoomerangError):
    """The child could not answer this request; it answers others."""

    slug, title = "ask-failed", "The request failed"


class Dialogue:
    """A child with a job file, that is asked one thing after another.

    It ends with the thread that made it (child.py), and is to be closed.
    """

    def __init__(
        self, arguments: Sequence[str], job: Mapping[str, Any], folder: Path, ready_s: float = 1800
    ) -> None:
        """Start it and wait until it says `ready`; what it said is `ready`.

        Its job file and its stderr are kept in `folder`. Raises JobFailed with what it said went
        wrong, Interrupted where it died or was not ready within `ready_s`.
        """
        self._child = Talking(arguments, job, folder)
        try:
            self.ready = self._next(ready_s)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it may still be asked."""
        return self._child.alive

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, request: Mapping[str, Any], wait_s: float = 600) -> Iterator[dict[str, Any]]:
        """Ask, and yield every event of the answer up to `done`.

        One who does not want the rest closes the iterator: the request is cancelled, and the child
        is asked nothing else before it has said so. `wait_s` is the longest silence. Raises
        AskFailed where the child could not answer, Interrupted where it died.
        """
        which = str(request.get("id") or secrets.token_hex(8))
        self._child.tell({**request, "id": which})
        over = False
        try:
            while not over:
                event = self._of(which, wait_s)
                over = event["event"] in ("done", "failed")
                if event["event"] == "failed":
                    raise AskFailed(str(event["reason"]), fix=str(event.get("fix") or ""))
                yield event
        finally:
            if not over and self.alive:
                self.cancel(which)
                while self._of(which, wait_s)["event"] not in ("done", "failed"):
                    pass

    def cancel(self, which: str) -> None:
        """End the answer to a request; it then says `done`."""
        self._child.tell({"cancel": which})

    def close(self) -> None:
        """End the child: asked first, killed where it takes too long."""
        self._child.stop(_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of(self, which: str, wait_s: float) -> dict[str, Any]:
        while (event := self._next(wait_s)).get("id") != which:
            pass
        return event

    def _next(self, wait_s: float) -> dict[str, Any]:
        try:
            event = self._child.event(wait_s)
        except queue.Empty:
            raise Interrupted(
                f"The process was silent for {wait_s:g} s.", value=wait_s, fix="Ask again."
            ) from None
        if event is None:
            reason = self._child.reason.removesuffix(".")
            raise Interrupted(f"The process stopped: {reason}.", fix="Ask again.")
        if event["event"] == "error":
            fix = str(event.get("fix") or "")
            raise JobFailed(str(event["detail"]), value=event.get("value"), fix=fix)
        return event
