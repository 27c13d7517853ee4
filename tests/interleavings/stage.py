"""What is outside of the workers in `world.World`: trainers, measurers, files, the Hub."""

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Family, Member, NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import Student
from boomerang.catalog.stores.requests import FACT_OF
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import BadRequest, HubUnreachable, NotReady
from boomerang.family.layer_map import LayerMap
from boomerang.hub.publish import Published
from boomerang.processes.json_lines import Ending, Outcome
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.planned import Plan
from boomerang.texts.task_names import harness_version
from tests.interleavings.plans import KEPT, LAYERS, ladder, plan
from tests.interleavings.world import REFUSED, World
from workers.context import Context
from workers.leases import Holding

SERIAL = itertools.count(1)


class Quiet(Holding):
    """A lease whose heartbeat is the world's."""

    def start(self) -> None:
        self._worker = self._context.catalog.worker  # type: ignore[attr-defined]
        self._worker.held.append(self)

    def close(self) -> None:
        self._worker.held.remove(self)
        if not self._worker.dead:
            self._context.catalog.lease_release(self.lease)

    def run(self, *told: Any) -> Outcome:
        return run(self, *told)


class Files(dict[str, Any]):
    """The files of a member: made of a student, with a card."""

    def __init__(self, context: Context, what: str, made: str, card: str) -> None:
        super().__init__({"README.md": SimpleNamespace(sha256=lambda: card)})
        self.context, self.what, self.made, self.card = context, what, made, card


def world_of(context: Context) -> World:
    return context.catalog.world  # type: ignore[attr-defined, no-any-return]


def outside(context: Context, what: str) -> None:
    """Something outside is asked: it is away, or refuses, or does as it is told."""
    worker = context.catalog.worker  # type: ignore[attr-defined]
    world_of(context).pause(worker)
    if worker.how == "away":
        raise HubUnreachable("away", fix="Wait.")
    if worker.how == "error":
        world_of(context).errors.add(what)
        raise BadRequest(REFUSED, fix="Let it be.")


def _made(context: Context, family: Family) -> str:
    student = context.catalog.student(family.student)
    found = world_of(context).made(student.key)
    if student.state is not StudentState.READY or found is None:
        raise NotReady("Its student is not ready.", fix="Wait.")
    return found.rstrip("!")


# Students.


def damage_of(context: Context, student: Student, held: Holding) -> str | None:
    outside(context, f"student:{student.key}")
    found = world_of(context).made(student.key)
    world_of(context).pause(context.catalog.worker)  # type: ignore[attr-defined]
    if found is None:
        return "its folder is gone"
    return "it changed" if "!" in found else None


def hashes(context: Context, student: Student, held: Holding) -> dict[str, str]:
    world_of(context).pause(context.catalog.worker)  # type: ignore[attr-defined]
    return {"made": str(world_of(context).made(student.key))}


def run(held: Holding, command: Any, job: Any, folder: Any, told: Any) -> Outcome:
    context: Context = held._context
    world, worker = world_of(context), context.catalog.worker  # type: ignore[attr-defined]
    what, key = held.lease.subject, job.get("key")
    if key is not None and key in world.training:
        return Outcome(Ending.AWAY, 1, "its run folder is locked")
    steps = _measure(world, job) if key is None else _train(world, job)
    world.training |= {key}
    try:
        while True:
            world.pause(worker)
            if held.end is not None:
                return Outcome(Ending.DIED, -15, "it was stopped")
            if worker.how == "died":
                world.losses[what] += 1
                return Outcome(Ending.DIED, -9, "it died")
            if worker.how == "away":
                return Outcome(Ending.AWAY, 1, "away")
            if worker.how == "error":
                world.errors.add(what)
                return Outcome(Ending.REFUSED, 1, REFUSED)
            event = next(steps, None)
            if event is None:
                return Outcome(Ending.DONE)
            told(event)
    finally:
        world.training -= {key}


def _train(world: World, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    key, out = job["key"], Path(job["out"])
    while world.checkpoints.get(key, 0) < 2:
        world.checkpoints[key] = world.checkpoints.get(key, 0) + 1
        yield {"event": "checkpoint", "step": world.checkpoints[key], "seconds": 0}
    if not out.exists():
        world.trained[key] += 1
        out.mkdir()
        (out / "made").write_text(str(next(SERIAL)))


def _measure(world: World, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    made = float((Path(job["student"]) / "made").read_text().rstrip("!"))
    yield {"event": "order", "order": "last", "patch_order": [0]}
    for k in (0, 1):
        if not job["tasks_only"]:
            yield {"event": "early", "k": k, "perplexity": made, "tokens": 1, "of": 2}
            yield {"event": "member", "k": k, "perplexity": made}
        for task in job["tasks"]:
            yield {"event": "task", "k": k, "name": task["name"], "limit": task["limit"],
                   "failed": False, "harness": harness_version() or "none"}  # fmt: skip


# Members.


def member_files(context: Context, family: Family, member: Member, repo: str = "") -> Files:
    kind = "publish" if repo else "build"
    outside(context, work_of(FACT_OF[kind], member.digest))
    card = card_now(context, family, member, repo)
    return Files(context, work_of(FACT_OF[kind], member.digest), _made(context, family), card)


def card_now(context: Context, family: Family, member: Member, repo: str) -> str:
    ladder = [context.catalog.member(family.id, k) for k in (0, 1)]
    known = [(one.perplexity, one.repo if one.published is Fact.YES else None) for one in ladder]
    known[member.k] = known[member.k][0], repo
    said = f"{family.id} {member.k} {_made(context, family)} {known}"
    return hashlib.sha256(said.encode()).hexdigest()


def build(context: Context, held: Holding, folder: Path, files: Files) -> str:
    outside(context, files.what)
    held.keep()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "made").write_text(files.made)
    world_of(context).built[folder.name, files.made] += 1
    return "built"


def built_damage(context: Context, folder: Path, files: Files, **_: Any) -> str | None:
    outside(context, files.what)
    whole = (folder / "made").exists() and (folder / "made").read_text() == files.made
    return None if whole else "it is not what was written"


def upload(repo: str, files: Files, **_: Any) -> Published:
    outside(files.context, files.what)
    world, worker = world_of(files.context), files.context.catalog.worker  # type: ignore[attr-defined]
    world.uploaded[repo, files.what, files.card] += 1
    job, lost = worker.job, any(world._is_lost(held.lease) for held in worker.held)
    asked = job.want is not None or lost
    if not asked and world.catalog.member(job.family, job.k).published is not Fact.YES:
        world.broken = f"{repo} was published again, though it was gone"
    return Published(repo, "9" * 40, "", True)


# Names by content.


def taken(world: World, request: FamilyRequest) -> Plan:
    """What a request is turned into, as far as the files behind it are hashed."""
    key = str(request.data)
    requests = [NewRequest(kind="build", what=what) for what in request.sizes or ()]
    if request.publish is not None:
        requests.append(NewRequest(kind="publish", what="2.00K", options={"namespace": "me"}))
    asked = request.order, requests, bool(request.tasks)
    if key in world.hashed:
        return Plan(plan(key, *asked), None, {})
    source = FileSource(Path("/") / key, 1 << 30, 1, 1)
    planned = plan(f"p{key[1:]}", *asked)
    return Plan(
        replace(planned, family=replace(planned.family, request=request.model_dump(mode="json"))),
        None,
        {},
        (source,),
    )


def take_hash(context: Context, source: FileSource, told: Any) -> None:
    outside(context, f"hash:{source.name}")
    told(source.size)
    world_of(context).hashed.add(source.name)


@contextmanager
def staged() -> Iterator[None]:
    """The workers' functions are among what is here."""
    pair = SimpleNamespace(
        layermap=LayerMap(KEPT, LAYERS),
        teacher=SimpleNamespace(architecture=SimpleNamespace(masked=False)),
    )
    nothing = {
        "workers.distill": ("check_pair", "fetch_teacher"),
        "workers.models.published": ("repository",),
        "workers.assemble": ("_remember",),
        "boomerang.service.models.pairs": ("check_trained_on",),
        "workers.measure": ("fetch_teacher",),
    }
    fakes = {
        "workers.leases.Holding": Quiet,
        # The same steps must be the same run: nobody's answer is good for others by a real clock.
        "workers.devices.cancels.SECONDS": 0.0,
        "workers.distill.fetch_student": _folder,
        "workers.distill.check_teacher": lambda *_: (),
        "workers.models.rebuild.member_files": member_files,
        "workers.distill.damage_of": damage_of,
        "workers.distill.hashes": hashes,
        "workers.distill.trainer_command": lambda settings: (),
        "workers.measure.fetch_student": _folder,
        "workers.measure.check_pair": lambda *_: pair,
        "workers.measure.ladder_members": lambda pair, order, commit, key: ladder(key),
        "workers.assemble.member_files": member_files,
        "workers.assemble.made_of": lambda context, family: _made(context, family),
        "workers.assemble.damage_of": built_damage,
        "workers.assemble._keep": lambda *_: "already built",
        "workers.assemble._build": build,
        "workers.publish.member_files": member_files,
        "workers.publish.made_of": lambda context, family: _made(context, family),
        "workers.settle.made_of": lambda context, family: _made(context, family),
        "workers.settle.card_now": card_now,
        "workers.publish.push": upload,
        "workers.keying.take": lambda settings, catalog, request, **_: taken(
            catalog.world, request
        ),
        "workers.keying._take_hash": take_hash,
    }
    with pytest.MonkeyPatch.context() as patched:
        for module, names in nothing.items():
            for name in names:
                patched.setattr(f"{module}.{name}", lambda *_: None)
        for target, fake in fakes.items():
            patched.setattr(target, fake)
        yield


def _folder(context: Context, student: Student, held: Holding) -> Path:
    return context.settings.student_folder(student.key)
