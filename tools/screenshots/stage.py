"""A catalog with families in every state, whose figures are made up and look like real ones."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, NewRequest
from boomerang.catalog.records.states import Fact, Lease, StudentState
from boomerang.catalog.setbacks import Limits, Setback
from boomerang.catalog.tables import LeaseRow, StudentRow
from boomerang.family.order_forms import named_order
from boomerang.service.models import pairs
from boomerang.service.models.members import ladder_members
from boomerang.service.settings import Settings
from tools.screenshots.models import SHAPES, kept_of, known, write

LIMITS = Limits(5, 21600.0)
HARNESS = "0.4.13"


@dataclass(frozen=True)
class Staged:
    """What there is to look at: the ids of families, and a size of the one that is ready."""

    ready: str
    distilling: str
    size: str


def prepare(models: Path, catalog: Catalog) -> None:
    """Write the teachers and their students below `models`."""
    for name, shape in SHAPES.items():
        kept = kept_of(shape)
        write(models / name, shape, shape.layers)
        write(models / f"{name}-student", shape, len(kept), kept=kept)
        for folder in (models / name, models / f"{name}-student"):
            known(catalog, folder)
    texts = models / "stories"
    texts.mkdir()
    for split in ("train", "calibration", "heldout"):
        line = '{"text": "Once upon a time there was a boomerang that came back as a model."}\n'
        (texts / f"{split}.jsonl").write_text(line * 8)
        known(catalog, texts)


def play(base: str, settings: Settings, catalog: Catalog) -> Staged:
    """Ask the front end at `base` for families, and write what workers would have."""
    main = _ask(base, teacher="Example-360M-Instruct", data="stories", order="last")
    ready = _ready(settings, catalog, main, tasks=True)
    _publish(catalog, ready)
    busy = _ask(base, teacher="Example-1.7B", data="stories")
    distilling = _distil(catalog, busy)
    small = _ready(settings, catalog, _ask(base, teacher="Example-135M", data="stories"))
    _ask(base, teacher="Example-135M", data="stories", recipe="smoke")
    lost = _ask(base, teacher="Example-360M-Instruct", data="stories", recipe="smoke")
    key = str(lost["student"]["key"])
    for state, reason in (
        (StudentState.DISTILLING, None),
        (StudentState.FAILED, "No text is left after packing: 'stories' has 8 records of 16 "
         "tokens. Give it more text, or a shorter sequence_length."),
    ):  # fmt: skip
        catalog.set_student_state(key, state, reason)
    _work(catalog, ready, small)
    members = catalog.members(ready.id)
    return Staged(ready.id, distilling, members[len(members) // 2].size)


def _ask(base: str, **body: Any) -> dict[str, Any]:
    shape = SHAPES[body["teacher"]]
    body["kept"] = kept_of(shape)
    answer = httpx.post(f"{base}/families", json=body, trust_env=False, timeout=60)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    if found.get("provisional"):
        raise RuntimeError(f"{body} is hashed first: {found['id']}")
    return found


def _ready(
    settings: Settings, catalog: Catalog, made: dict[str, Any], *, tasks: bool = False
) -> Family:
    """The family as it is once its student is there and measured."""
    family = catalog.family(made["id"])
    given = settings.models / f"{family.name}-student"
    folder = settings.student_folder(family.student)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(given)
    student = catalog.student(family.student)
    for step in range(1, 41):
        loss = 2.1 + 3.4 * math.exp(-step / 6) + 0.05 * math.sin(1.7 * step)
        catalog.student_progress(
            student.key,
            {"step": 12 * step, "steps": 480, "loss": loss, "ce": loss - 0.3, "kl": 0.31,
             "cosine": 0.021, "tokens": 12 * step * 65536, "tokens_per_s": 41200.0},
        )  # fmt: skip
    catalog.set_student_state(student.key, StudentState.DISTILLING)
    with catalog.db.write() as session:
        # It took a while, as such do.
        session.get_one(StudentRow, student.key).started = session.now() - 2840.0
    catalog.student_whole(student.key, {"model.safetensors": "5e" * 32}, made=True)
    pair = pairs.open_pair(settings, catalog, catalog.student(student.key))
    order = named_order(pair.layermap, "last")
    if order is None:
        raise RuntimeError("the order `last` is one of names")
    members = ladder_members(pair, order, family.commit, family.student)
    catalog.set_members(family.id, members, patch_order=order, chosen="last")
    catalog.set_measuring(family.id, Fact.RUNNING)
    for k, member in enumerate(catalog.members(family.id)):
        catalog.set_fact(family.id, member.k, "measured", Fact.YES, **_figures(k, len(members)))
        if tasks:
            for result in _tasks(k, len(members)):
                catalog.set_task(family.id, member.k, result)
    catalog.set_measuring(family.id, Fact.YES)
    return catalog.family(family.id)


def _figures(k: int, many: int) -> dict[str, Any]:
    left = 1 - k / (many - 1)
    perplexity = 11.2 * math.exp(0.62 * left**1.4) * (1.02 if k == 5 else 1.0)
    kl = 0.58 * left**1.3
    naive = 11.2 * math.exp(3.9 * left)
    found: dict[str, Any] = {
        "perplexity": perplexity, "kl": kl, "naive_perplexity": naive, "naive_kl": 3.4 * left,
        "agreement": 1 - 0.41 * left**1.2, "acceptance": 1 - 0.29 * left**1.2,
        "drafted": 0.71 + 0.29 * left,
        "by_position": [round(perplexity * f, 3) for f in (1.6, 1.2, 1.08, 1.02, 0.98, 0.96)],
        "errors": {"perplexity": 0.07 + 0.05 * left, "kl": 0.004 + 0.006 * left,
                   "naive_perplexity": 0.4 + 9 * left, "naive_kl": 0.03, "windows": 256.0,
                   "tokens": 262144.0},
        "generation": {"agreement": 1 - 0.55 * left, "repetition": 0.03 + 0.05 * left,
                       "empty": 0.0, "stopped": 1 - 0.1 * left},
    }  # fmt: skip
    return found


def _tasks(k: int, many: int) -> list[dict[str, Any]]:
    left = 1 - k / (many - 1)
    shown = []
    for name, best, chance, samples in (
        ("arc_easy", 0.703, 0.25, 2376), ("hellaswag", 0.545, 0.25, 10042),
        ("piqa", 0.716, 0.5, 1838),
    ):  # fmt: skip
        value = chance + (best - chance) * (1 - 0.45 * left**1.3)
        error = math.sqrt(value * (1 - value) / samples)
        metric = {"task": name, "metric": "acc_norm", "filter": "none", "value": value,
                  "stderr": error, "version": "1.0", "samples": samples, "shots": 0}  # fmt: skip
        shown.append({"name": name, "limit": None, "harness": HARNESS, "failed": None,
                      "metrics": [metric]})  # fmt: skip
    return shown


def _distil(catalog: Catalog, made: dict[str, Any]) -> str:
    """A distillation that is under way, on a worker."""
    key = str(made["student"]["key"])
    lease = _held(catalog, f"student:{key}", "gpu-1:4211")
    catalog.set_student_state(key, StudentState.DISTILLING, lease=lease)
    for step in range(1, 61):
        loss = 2.4 + 4.1 * math.exp(-step / 11) + 0.06 * math.sin(2.1 * step)
        catalog.student_progress(
            key,
            {"step": 5 * step, "steps": 500, "loss": loss, "ce": loss - 0.4, "kl": 0.52,
             "cosine": 0.034, "tokens": 5 * step * 65536, "tokens_per_s": 18400.0,
             "eta_s": 3.5 * (500 - 5 * step)},
            lease=lease,
        )  # fmt: skip
    return str(made["id"])


def _publish(catalog: Catalog, family: Family) -> None:
    """Some sizes of it are built, one could not be."""
    members = catalog.members(family.id)
    middle = members[len(members) // 2]
    for member in (members[0], middle):
        catalog.set_fact(family.id, member.k, "built", Fact.YES, made_of="5e" * 20)
    asked = [NewRequest(kind="build", what=middle.size), NewRequest(kind="publish", what="*")]
    catalog.add_requests(family.id, asked)
    build, publish = catalog.requests(family.id)
    catalog.open_request(build, [middle])
    catalog.set_request(build.id, Fact.YES)
    catalog.open_request(publish, members)


def _work(catalog: Catalog, ready: Family, small: Family) -> None:
    """What workers do now, and what is in their way."""
    members = catalog.members(ready.id)
    for member in members[:3]:
        lease = _held(catalog, f"publish:{member.digest}", "cpu-2:977")
        catalog.set_fact(ready.id, member.k, "published", Fact.RUNNING, lease=lease)
        if member is members[0]:
            catalog.member_sent(ready.id, member.k, "me/x", 180_000_000, 420_000_000, lease=lease)
        if member is members[2]:
            away = "The Hub answered 503."
            catalog.member_again(ready.id, member.k, "published", away, LIMITS, lease=lease)
            catalog.lease_release(lease)
    catalog.add_requests(small.id, [NewRequest(kind="build", what="*")])
    first = catalog.members(small.id)[0]
    [request] = catalog.requests(small.id)
    catalog.open_request(request, catalog.members(small.id))
    catalog.set_fact(small.id, first.k, "built", Fact.FAILED, "The disk is full. Make room.")
    catalog.set_request(request.id, Fact.FAILED, f"{first.size}: The disk is full. Make room.")
    catalog.rebuild(small.id)
    catalog.student_not_seen(small.student, "The Hub is away.", (Setback.OUTSIDE, LIMITS))


def _held(catalog: Catalog, subject: str, process: str) -> Lease:
    lease = catalog.lease_acquire(subject, f"{process}:{subject}", 3600.0)
    if lease is None:
        raise RuntimeError(f"{subject} is held by somebody")
    with catalog.db.write() as session:
        session.get_one(LeaseRow, subject).since = session.now() - 1100.0
    return lease
