"""A front end as `boomerang serve` starts it, with one ready family; run as a process of its own.

What a worker would do (hash files, settle the order) is done here, so that nothing else runs
beside it.
"""

import json
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.family.order_forms import named_order
from boomerang.service.jobs import Producer
from boomerang.service.models import pairs
from boomerang.service.models.members import ladder_members
from boomerang.service.running import parts
from boomerang.service.settings import Settings
from workers import keying
from workers.context import Context

QUEUE = "redis://127.0.0.1:1/0"
"""No queue: all jobs of the family are done here."""


def main() -> None:
    """Serve until stdin ends. Prints one line: the family, its sizes by k, and the process."""
    home, models, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    settings = Settings(home=home, models=models, port=port)
    queue = {"BOOMERANG_REDIS_URL": QUEUE}
    folders = {"BOOMERANG_HOME": str(home), "BOOMERANG_MODELS": str(models)}
    front = parts.front_end(settings, queue | folders)
    front.start()
    try:
        if not front.wait_until_healthy(60, threading.Event()):
            raise RuntimeError(front.log.read_text())
        print(json.dumps({"pid": front.pid, **_ready(settings)}), flush=True)
        sys.stdin.read()
    finally:
        front.stop()


def _ready(settings: Settings) -> dict[str, Any]:
    base = f"http://{settings.host}:{settings.port}"
    body = json.dumps({"teacher": "teacher", "student": "student", "order": "last"}).encode()
    asked = urllib.request.Request(
        f"{base}/families", body, {"Content-Type": "application/json"}
    )  # fmt: skip
    with urllib.request.urlopen(asked) as answer:
        id_, sizes = _settle(settings, json.load(answer)["id"])
    return {"family": id_, "base": base, "sizes": sizes}


def _settle(settings: Settings, id_: str) -> tuple[str, dict[int, str]]:
    catalog = Catalog(settings.database_url)
    if catalog.waiting(id_) is not None:
        keying.key(Context(settings, catalog, Producer(QUEUE)), id_)
    family = catalog.family(catalog.family_id(id_))
    student = catalog.student(family.student)
    if student.state is not StudentState.READY:
        catalog.set_student_state(student.key, StudentState.READY)
        student = catalog.student(family.student)
    pair = pairs.open_pair(settings, catalog, student)
    order = named_order(pair.layermap, "last")
    if order is None:
        raise RuntimeError("There is no order 'last'.")
    members = ladder_members(pair, order, family.commit, family.student)
    catalog.set_members(family.id, members, patch_order=order, chosen="last")
    catalog.close()
    return family.id, {member.k: member.size for member in members}


if __name__ == "__main__":
    main()
