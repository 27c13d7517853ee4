"""What a test in another process asks of the Hub itself: faults, traffic, what was ever there."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from tests.local_hub.faults import Fault, Layer
from tests.local_hub.store import Store


class AskedFault(BaseModel):
    """A fault for the next `times` requests whose `METHOD /path` matches `pattern`.

    `status` answers with it and Retry-After, and nothing is done; `cut` breaks the answer in its
    middle, `cut-upload` the connection when `after` bytes of the request were read; `slow` answers
    with `rate` bytes a second; `lost` does what was asked and then answers `status`, or cuts the
    connection where there is none.
    """

    pattern: str
    mode: Literal["status", "cut", "cut-upload", "slow", "lost"] = "status"
    status: int | None = None
    times: int = 1
    retry_after: str | None = None
    after: int = 0
    rate: int = 100_000

    def fault(self) -> Fault:
        status = 500 if self.mode == "status" and self.status is None else self.status
        return Fault(
            self.pattern, status, self.times,
            {} if self.retry_after is None else {"retry-after": self.retry_after},
            lost=self.mode == "lost",
            cut_after=self.after if self.mode == "cut-upload" else None,
            rate=self.rate if self.mode == "slow" else None,
        )  # fmt: skip


def control(store: Store, layer: Layer) -> FastAPI:
    app, faults = FastAPI(), layer.faults

    @app.post("/faults")
    def add(asked: AskedFault) -> dict[str, Any]:
        faults.append(asked.fault())
        return {}

    @app.get("/faults")
    def left() -> list[dict[str, Any]]:
        return [{"pattern": one.pattern, "times": one.times} for one in faults]

    @app.delete("/faults")
    def clear() -> dict[str, Any]:
        faults.clear()
        return {}

    @app.get("/requests")
    def requests() -> int:
        return len(layer.asked)

    @app.get("/traffic")
    def traffic() -> dict[str, Any]:
        return {
            "totals": store.traffic.totals(),
            "arrivals": [asdict(one) for one in store.traffic.arrivals],
        }

    @app.get("/history/{id:path}")
    def history(id: str) -> dict[str, Any]:
        repo = store.repos[id]
        return {
            "access": repo.access,
            "branches": {
                branch: [asdict(commit) for commit in repo.history(branch)]
                for branch in repo.branches
            },
        }

    return app
