"""Making a student ready: fetch what it needs, distil it in a subprocess, check what came out."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

from boomerang.errors import BoomerangError
from boomerang.service import shelf
from boomerang.service.jobs import Measure
from boomerang.service.leases import LostLease
from boomerang.service.records import Fact, Origin, Student, StudentState
from workers.context import Context
from workers.fetching import check_pair, fetch_student, fetch_teacher
from workers.holding import End, Holding, holding
from workers.launch import trainer_command
from workers.process import Outcome, run

log = logging.getLogger("boomerang.workers")


def distill(context: Context, key: str) -> str:
    """Make the student `key` ready, whatever that takes; return what was done, in a word.

    A student that is ready is verified, and distilled again only where it is not whole.
    """
    catalog = context.catalog
    if context.stopping.is_set():
        return "stopping"
    with holding(context, f"student:{key}", lambda: catalog.student(key).cancel) as held:
        if held is None:
            return "already running"
        student = catalog.student(key)
        if student.state in (StudentState.FAILED, StudentState.CANCELLED):
            return str(student.state)
        try:
            return _work(context, student, held)
        except LostLease:
            return "lost"
        except Exception as error:
            if held.end is not None:
                return _ended(context, student, held, held.end)
            if not isinstance(error, BoomerangError | OSError):
                log.exception("student %s", key)
            return _failed(context, student, held, str(error) or type(error).__name__)


def _work(context: Context, student: Student, held: Holding) -> str:
    catalog, settings = context.catalog, context.settings
    if student.state is StudentState.READY:
        damage = _damage(context, student)
        if damage is None:
            catalog.student_note(student.key, "verified", {}, lease=held.lease)
            _measure_families(context, student, again=False)
            return "verified"
        log.warning("student %s is damaged: %s", student.key, damage)
        if student.origin is Origin.FOLDER:
            return _failed(context, student, held, damage)
        _set_aside(settings.student_folder(student.key), held.lease.fence)
    if student.cancel:
        return _ended(context, student, held, End.CANCELLED)
    catalog.set_student_state(student.key, StudentState.DISTILLING, lease=held.lease)
    teacher = fetch_teacher(context, student)
    if student.origin is Origin.DISTILLED:
        shelf.check_trained_on(catalog, settings, student)
        outcome = _train(context, student, teacher, held)
        if held.end is not None and not outcome.done:
            return _ended(context, student, held, held.end)
        if outcome.reason is not None:
            return _failed(context, student, held, outcome.reason)
    check_pair(teacher, fetch_student(context, student), shelf.kept_of(student))
    catalog.set_student_state(student.key, StudentState.READY, lease=held.lease)
    _measure_families(context, student, again=True)
    return "ready"


def _train(context: Context, student: Student, teacher: Path, held: Holding) -> Outcome:
    settings, catalog = context.settings, context.catalog
    run_folder = settings.run_folder(student.key)
    out = settings.student_folder(student.key)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        # The worker before this one died between the trainer's end and saying so.
        if _damage(context, student) is None:
            return Outcome(0, True, None)
        _set_aside(out, held.lease.fence)
    told = _Teller(time.monotonic())

    def on_event(event: dict[str, Any]) -> None:
        kind, values = event["event"], {k: v for k, v in event.items() if k != "event"}
        if kind in ("start", "step"):
            last = values.get("step") == values.get("steps")
            catalog.student_progress(
                student.key, values, lease=held.lease, event=last or told.due()
            )
        elif kind in ("checkpoint", "estimate", "memory", "unsound", "delta"):
            catalog.student_note(student.key, kind, values, lease=held.lease)

    job = {
        "teacher": str(teacher),
        "teacher_name": student.teacher,
        "teacher_commit": student.teacher_commit,
        "out": str(out),
        "run": str(run_folder),
        **_recipe(context, student),
        "data": student.data or (str(settings.data) if settings.data else None),
        "seed": student.seed,
        "kept": list(student.kept),
        "key": student.key,
    }
    return run(trainer_command(settings), job, run_folder, held, settings.stop_seconds, on_event)


def _recipe(context: Context, student: Student) -> dict[str, Any]:
    """What the trainer is told to do: a recipe, or the delta of another student.

    Raises NotReady where that student has gone meanwhile, SourceChanged where its teacher has.
    """
    asked = student.recipe.get("delta")
    if asked is None:
        return {"recipe": student.recipe}
    catalog, settings = context.catalog, context.settings
    base = catalog.student(asked["base_student"])
    shelf.student_checkpoint(settings, base)
    if base.teacher_source is not None:
        checkpoint = shelf.teacher_checkpoint(settings, base)
        shelf.check_folder(catalog, base.teacher_commit, checkpoint)
    told = {
        "base": str(fetch_teacher(context, base)),
        "base_name": asked["base"],
        "base_commit": asked["base_commit"],
        "student": str(fetch_student(context, base)),
        "student_key": base.key,
    }
    if asked["reference"] is not None:
        own = catalog.student(asked["reference"])
        told["reference"] = str(fetch_student(context, own))
    return {"delta": told}


class _Teller:
    """Thins out progress for the event stream: one a second at first, fewer on a long run."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._last = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < max(0.9, (now - self._started) / 600):
            return False
        self._last = now
        return True


def _failed(context: Context, student: Student, held: Holding, reason: str) -> str:
    try:
        context.catalog.set_student_state(
            student.key, StudentState.FAILED, reason, lease=held.lease
        )
    except LostLease:
        return "lost"
    return "failed"


def _ended(context: Context, student: Student, held: Holding, end: End) -> str:
    if end is End.CANCELLED:
        state = StudentState.CANCELLED
        context.catalog.set_student_state(student.key, state, str(end), lease=held.lease)
    elif end is End.STOPPING:
        context.catalog.student_resend(student.key, str(end), lease=held.lease)
    return end.name.lower()


def _damage(context: Context, student: Student) -> str | None:
    """What is wrong with a student that should be ready, if anything."""
    try:
        teacher = fetch_teacher(context, student)
        pair = check_pair(teacher, fetch_student(context, student), shelf.kept_of(student))
    except (BoomerangError, OSError) as error:
        return str(error)
    if pair.layermap.kept != student.kept:
        return f"it keeps layers {list(pair.layermap.kept)} instead of {list(student.kept)}"
    return None


def _set_aside(folder: Path, fence: int) -> None:
    """Get a damaged folder out of the way; readers that have it open keep what they have."""
    if folder.exists():
        aside = folder.with_name(f".{folder.name}.{fence}.damaged")
        folder.rename(aside)
        shutil.rmtree(aside)


def _measure_families(context: Context, student: Student, *, again: bool) -> None:
    for family in context.catalog.families_of_student(student.key):
        if again or family.measuring in (Fact.NO, Fact.FAILED):
            reason = "its student is new" if again else "asked for again"
            context.catalog.measure_resend(family.id, reason)
            context.producer.send(Measure(family=family.id))
