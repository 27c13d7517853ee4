"""What must hold once everything has recovered."""

import io
import json
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, load_file
from sqlalchemy import select

from benchmarks.chaos.clients import Client
from benchmarks.chaos.service.stack import Stack, queued, unacknowledged
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.tables import EventRow, FamilyRow, LeaseRow, RequestRow, StudentRow
from boomerang.checkpoint.folders import sha256_of
from boomerang.checkpoint.sources import FileSource

CLOCK_SECONDS = 60.0
"""A message that was taken so far in the future was taken by a worker whose clock was wrong."""

Tensors = Mapping[str, np.ndarray[Any, Any]]


def broken(stack: Stack, clients: list[Client]) -> list[str]:
    """Every promise that is broken, in words."""
    found = [
        f"client of {client.family or client.visit.seed} ({client.visit.role}): {client.failure}"
        for client in clients
        if client.failure is not None
    ]
    checks = (_accepted(stack, clients), _students(stack), _folders(stack), _bytes(stack, clients),
              _published(stack, clients), _quiet(stack), _events(stack.catalog))  # fmt: skip
    return [*found, *(said for check in checks for said in check)]


def _accepted(stack: Stack, clients: list[Client]) -> Iterator[str]:
    known = {family.id: family for family in stack.catalog.families()}
    for client in clients:
        if client.family is None or client.failure is not None:
            continue
        family = known.get(client.family)
        if client.expected == "gone":
            if family is not None:
                yield f"family {client.family} was deleted and is there"
            continue
        if family is None:
            yield f"family {client.family} is gone"
            continue
        state = stack.catalog.student(family.student).state
        allowed = ("cancelled", "ready") if client.expected == "cancelled" else ("ready",)
        if state not in allowed:
            yield f"student of family {client.family} is {state}, not {client.expected}"


def _students(stack: Stack) -> Iterator[str]:
    """Each was distilled once, and none is gone."""
    with stack.catalog.db.read() as session:
        ready = session.scalars(select(StudentRow).where(StudentRow.state == "ready")).all()
        for row in ready:
            folder = stack.home / "students" / row.key
            if not folder.is_dir():
                yield f"student {row.key} is ready and has no folder"
            made = stack.home / f"made-{row.key}"
            times = len(made.read_text("utf-8").splitlines()) if made.exists() else 0
            if times > 1:
                yield f"student {row.key} was distilled {times} times"
            for name, digest in (row.files or {}).items():
                if sha256_of(FileSource.of(folder / name)) != digest:
                    yield f"student {row.key}: {name} is not what was written"
    aside = stack.home / "students" / "set-aside"
    if aside.exists():
        yield f"set aside: {sorted(path.name for path in aside.iterdir())}"


def _folders(stack: Stack) -> Iterator[str]:
    """Nothing half written lies under a final name."""
    for path in sorted(stack.home.glob("members/*/*.safetensors")):
        if path.parent.name.startswith("."):
            continue
        known = stack.catalog.known_hash(path)
        if known is not None and known != sha256_of(FileSource.of(path)):
            yield f"{path.relative_to(stack.home)} is not what was written"
        try:
            load_file(path)
        except Exception as error:
            yield f"{path.relative_to(stack.home)} cannot be read: {error}"


def _bytes(stack: Stack, clients: list[Client]) -> Iterator[str]:
    """Every tensor that came down is the teacher's or the student's."""
    teacher = load_file(stack.models / "toy" / "model.safetensors")
    for client in clients:
        if client.failure is not None or not client.tars or client.family is None:
            continue
        family = stack.catalog.family(client.family)
        student = load_file(stack.home / "students" / family.student / "model.safetensors")
        for size, tar in client.tars.items():
            with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
                for entry in opened:
                    if entry.name.endswith(".safetensors"):
                        file = opened.extractfile(entry)
                        assert file is not None
                        for said in _foreign(load(file.read()), teacher, student):
                            yield f"{size} of family {client.family}: {said}"


def _foreign(found: Tensors, teacher: Tensors, student: Tensors) -> Iterator[str]:
    known = {value.tobytes() for side in (teacher, student) for value in side.values()}
    for name, value in found.items():
        if value.tobytes() not in known:
            yield f"{name} is of neither model"


def _published(stack: Stack, clients: list[Client]) -> Iterator[str]:
    """What is said to be on the Hub is there, whole."""
    teacher = load_file(stack.models / "toy" / "model.safetensors")
    for client in clients:
        if client.visit.role != "publish" or client.failure is not None or client.family is None:
            continue
        family = stack.catalog.family(client.family)
        student = load_file(stack.home / "students" / family.student / "model.safetensors")
        members = [m for m in stack.catalog.members(family.id) if m.published == "yes"]
        if not members:
            yield f"nothing of family {family.id} is published"
        for member in members:
            there = stack.catalog.publication(str(member.repo))
            history = stack.hub("GET", f"/history/{member.repo}").json()
            commits = [commit["oid"] for commit in history["branches"]["main"]]
            if there is None or there.commit not in commits:
                yield f"{member.repo} has no commit {there and there.commit}"
                continue
            path = f"/{member.repo}/resolve/{there.commit}/model.safetensors"
            got = stack.hub("GET", path, follow_redirects=True,
                            headers={"Authorization": "Bearer hf_owner"})  # fmt: skip
            if not got.is_success:
                yield f"{member.repo}: {got.status_code} for its weights"
                continue
            yield from (
                f"{member.repo}: {one}" for one in _foreign(load(got.content), teacher, student)
            )


def _quiet(stack: Stack) -> Iterator[str]:
    """Nothing is stuck: no job without a worker, no message, nothing parked."""
    until = time.monotonic() + 60
    while (said := list(_busy(stack))) and time.monotonic() < until:
        time.sleep(1)
    yield from said
    if parked := stack.catalog.parked():
        yield f"{parked} parked"


def _busy(stack: Stack) -> Iterator[str]:
    waiting = queued(stack.ports["redis"])
    if any(waiting.values()):
        yield f"messages wait: {json.dumps(waiting)}"
    for message, seconds in unacknowledged(stack.ports["redis"]).items():
        if seconds > -CLOCK_SECONDS:
            yield f"{message} was taken {seconds:.0f} s ago and never acknowledged"
    jobs = stack.catalog.jobs(50)
    for job in (*jobs.running, *jobs.waiting):
        yield f"{job.kind} of {job.family or job.student} {job.stage}: {job.reason}"
    with stack.catalog.db.read() as session:
        held = session.scalars(select(LeaseRow.subject).where(LeaseRow.holder.is_not(None))).all()
        yield from (f"the lease of {subject} is held" for subject in held)


def _events(catalog: Catalog) -> Iterator[str]:
    """Events are in order, and the last of each kind says what the row says."""
    last: dict[tuple[str, str], str] = {}
    with catalog.db.read() as session:
        before = 0.0
        for event in session.scalars(select(EventRow).order_by(EventRow.id)):
            if event.time < before - 1:
                yield f"event {event.id} is {before - event.time:.0f} s older than the one before"
            before = max(before, event.time)
            if event.kind in ("student", "measuring"):
                last[event.kind, str(event.student or event.family)] = event.payload["state"]
            elif event.kind == "want":
                last["want", str(event.payload["id"])] = event.payload["state"]
        for student in session.scalars(select(StudentRow)):
            if last.get(("student", student.key), student.state) != student.state:
                yield f"student {student.key} is {student.state}, its last event says otherwise"
        for family in session.scalars(select(FamilyRow)):
            if last.get(("measuring", family.id), family.measuring) != family.measuring:
                yield f"measuring {family.id} is {family.measuring}, its last event says otherwise"
        for request in session.scalars(select(RequestRow)):
            if last.get(("want", str(request.id)), request.state) != request.state:
                yield f"request {request.id} is {request.state}, its last event says otherwise"


def logs(folder: Path) -> Iterator[str]:
    """The end of every log."""
    for log in sorted(folder.glob("*.log")):
        yield f"--- {log.name}"
        yield from log.read_text("utf-8", errors="replace").splitlines()[-25:]
