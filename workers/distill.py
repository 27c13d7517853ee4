"""Making a student ready: fetch what it needs, distil it in a subprocess, check what came out."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from boomerang.catalog.keys.turns import Turn
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import LostLease, StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.catalog.setbacks import Setback
from boomerang.processes.json_lines import Ending, Outcome
from boomerang.recipes.healing import HEAL, without_heal
from boomerang.recipes.recipe import Recipe
from boomerang.service.jobs import Measure, PushStudent, Rebuild
from boomerang.service.models import pairs
from workers.context import Context
from workers.devices.charging import charged, distilling_devices
from workers.devices.turns import student_turn
from workers.leases import End, Holding
from workers.models.folders import (
    bytes_below,
    check_pair,
    check_teacher,
    fetch_student,
    fetch_teacher,
)
from workers.models.keeping import mend, take
from workers.models.layers import with_layers
from workers.models.verify import damage_of, hashes, set_aside
from workers.outages import SETBACKS, patiently, said, setback
from workers.training.trainer import Progress, trainer_command

log = logging.getLogger("boomerang.workers")


def distill(context: Context, key: str) -> str:
    """Make a student ready, whatever that takes; return what was done, in a word.

    It is the one whose turn it is (catalog/keys/turns.py): `key` where nothing else waits. One that
    is ready is verified where somebody asked for that, and distilled again only where its own bytes
    are not whole. What stands in the way for a while is waited for: the student is queued for
    later, and goes on from its checkpoint.
    """
    if context.stopping.is_set():
        return "stopping"
    key, done = _distill(context, key)
    for family in context.catalog.open_rebuilds(key):
        context.producer.send(Rebuild(family=family))
    return done


def _distill(context: Context, named: str) -> tuple[str, str]:
    """The student that was taken, and what was done."""
    with student_turn(context, named) as taken:
        turn, held = taken
        if held is None:
            return turn.subject, turn.said
        return turn.subject, _taken(context, turn, held)


def _taken(context: Context, turn: Turn, held: Holding) -> str:
    catalog, key = context.catalog, turn.subject
    student = catalog.student(key)
    if student.state in (StudentState.FAILED, StudentState.CANCELLED):
        return str(student.state)
    if student.state is StudentState.READY and student.verify is None:
        return "ready"
    with charged(context, turn.owner, distilling_devices(context)):
        try:
            if student.state is StudentState.READY:
                return _verify(context, student, held)
            return _make(context, student, held)
        except LostLease:
            return "lost"
        except Exception as error:
            if held.end is not None:
                return _ended(context, student, held, held.end)
            reason, kind = said(error), setback(error, f"student {key}")
            if kind is None:
                return _failed(context, student, held, reason)
            log.warning("student %s: %s", key, reason)
            return _again(context, student, held, kind, reason)


def _verify(context: Context, student: Student, held: Holding) -> str:
    """Look whether a student that is ready is whole; one that cannot be looked at stays ready."""
    catalog, settings = context.catalog, context.settings
    try:
        # First: nothing can be said of what is made of it, nor made again, where it is damaged.
        looked = check_teacher(context, student, held)
        damage = damage_of(context, student, held)
        if damage is None:
            looked = (*looked, *mend(context, student, held))
    except LostLease:
        raise
    except Exception as error:
        if held.end is not None:
            return held.end.name.lower()
        reason, kind = said(error), setback(error, f"student {student.key}")
        again = None if kind is None else (kind, settings.limits)
        catalog.student_not_seen(student.key, reason, again, lease=held.lease)
        return "not verified"
    if damage is None:
        read = bytes_below(pairs.student_folder(settings, student))
        whole = Item(kind="student", name=student.key, state="whole", bytes=read)
        _whole(context, student, held, made=False, looked=(*looked, whole))
        return "verified"
    log.warning("student %s is damaged: %s", student.key, damage)
    if student.origin is Origin.FOLDER:
        return _failed(context, student, held, damage)
    set_aside(context, student, held, damage)
    return _make(context, student, held, looked)


def _make(context: Context, student: Student, held: Holding, looked: tuple[Item, ...] = ()) -> str:
    catalog, settings = context.catalog, context.settings
    if student.cancel:
        return _ended(context, student, held, End.CANCELLED)
    catalog.set_student_state(student.key, StudentState.DISTILLING, lease=held.lease)
    if take(context, student, held, looked):
        _measured(context, student.key)
        return "ready"
    student = catalog.student(student.key)
    teacher = fetch_teacher(context, student, held)
    if student.origin is Origin.DISTILLED:
        pairs.check_trained_on(catalog, settings, student)
        student, outcome = with_layers(context, student, teacher, held)
        if outcome.done:
            outcome = _train(context, student, teacher, held)
        if held.end is not None and not outcome.done:
            return _ended(context, student, held, held.end)
        if outcome.reason is not None:
            return _stopped(context, student, held, outcome, outcome.reason)
    check_pair(context, student, teacher, fetch_student(context, student, held))
    _whole(context, student, held, made=True, looked=looked)
    return "ready"


def _train(context: Context, student: Student, teacher: Path, held: Holding) -> Outcome:
    settings = context.settings
    run_folder = settings.run_folder(student.key)
    out = settings.student_folder(student.key)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        # The worker before this one died between the trainer's end and saying so.
        damage = damage_of(context, student, held)
        if damage is None:
            return Outcome(Ending.DONE)
        set_aside(context, student, held, damage)
    job = {
        "teacher": str(teacher),
        "teacher_name": student.teacher,
        "teacher_commit": student.teacher_commit,
        "out": str(out),
        "run": str(run_folder),
        **_recipe(context, student, held),
        "data": student.data or (str(settings.data) if settings.data else None),
        "seed": student.seed,
        "kept": list(student.kept),
        "key": student.key,
        "checkpoint_seconds": settings.checkpoint_seconds,
    }
    if student.micro_batch is not None:
        job["micro_batch"] = student.micro_batch
    told = Progress(context, student, held)
    outcome = held.run(trainer_command(settings), job, run_folder, told)
    told.settle()
    if outcome.starved:
        return replace(outcome, reason=f"{outcome.reason}{told.figures}")
    return outcome


def _stopped(
    context: Context, student: Student, held: Holding, outcome: Outcome, reason: str
) -> str:
    """The trainer has ended without a student: go on later, or not at all."""
    setback = SETBACKS.get(outcome.ending)
    if setback is None:
        return _failed(context, student, held, reason)
    if outcome.starved and student.origin is Origin.DISTILLED and "delta" not in student.recipe:
        asked = Recipe.stored(without_heal(student.recipe)).micro_batch
        left = context.catalog.student_out_of_memory(
            student.key, student.micro_batch or asked, lease=held.lease
        )
        if left == 0:
            step = context.catalog.student(student.key).step
            reason += f", twice at step {step} with one sequence at a time"
            return _failed(context, student, held, reason)
    return _again(context, student, held, setback, reason)


def _whole(
    context: Context, student: Student, held: Holding, *, made: bool, looked: tuple[Item, ...] = ()
) -> None:
    catalog, keep = context.catalog, bool(context.settings.students)
    files, say = hashes(context, student, held), catalog.student_whole
    told = {"made": made, "looked": looked, "keep": keep}
    patiently(held)(say, student.key, files, **told, lease=held.lease)
    if keep and catalog.keeps_waiting(student.key):
        context.producer.send(PushStudent(key=student.key))
    _measured(context, student.key)


def _measured(context: Context, key: str) -> None:
    """Have the families of a student that is ready measured, where they are not yet."""
    for family in context.catalog.families(student=key):
        if not family.settled and not family.cancel:
            context.producer.send(Measure(family=family.id))


def _recipe(context: Context, student: Student, held: Holding) -> dict[str, Any]:
    """What the trainer is told to do: a recipe, from a member of a family on, or another's delta.

    Raises NotReady where that student has gone meanwhile, SourceChanged where its teacher has.
    """
    catalog, settings = context.catalog, context.settings
    asked, healed = student.recipe.get("delta"), student.recipe.get(HEAL)
    if healed is not None:
        of = catalog.student(healed["student"])
        pairs.student_checkpoint(settings, of)
        begins = {
            "student": str(fetch_student(context, of, held)),
            "student_key": of.key,
            "code": healed["code"],
            "size": healed["size"],
            "kept": list(of.kept),
        }
        return {"recipe": without_heal(student.recipe), "heal": begins}
    if asked is None:
        return {"recipe": student.recipe}
    base = catalog.student(asked["base_student"])
    pairs.student_checkpoint(settings, base)
    if base.teacher_source is not None:
        checkpoint = pairs.teacher_checkpoint(settings, base)
        pairs.check_folder(catalog, base.teacher_commit, checkpoint)
    told = {
        "base": str(fetch_teacher(context, base, held)),
        "base_name": asked["base"],
        "base_commit": asked["base_commit"],
        "student": str(fetch_student(context, base, held)),
        "student_key": base.key,
    }
    if asked["reference"] is not None:
        own = catalog.student(asked["reference"])
        told["reference"] = str(fetch_student(context, own, held))
    return {"delta": told}


def _again(context: Context, student: Student, held: Holding, kind: Setback, reason: str) -> str:
    again, limits = context.catalog.student_again, context.settings.limits
    now = patiently(held)(again, student.key, kind, reason, limits, lease=held.lease)
    return "failed" if now.state is StudentState.FAILED else "again"


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
