"""Plans of members, checked against the architecture itself: by whoever has torch, for all others.

A plan is what a member's files will say: its config, and each tensor's name, kind and shape. It is
known by its digest, so one check serves every worker, family and later build with the same plan.
"""

import hashlib
import json
import logging
from importlib.util import find_spec
from typing import Any

from boomerang.assembly.stitch import place
from boomerang.errors import BoomerangError, CorruptCheckpoint, Interrupted
from boomerang.family.composition import Composition, composition_of
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.service.jobs import Check
from boomerang.service.models import pairs
from workers.context import Context
from workers.outages import said

log = logging.getLogger("boomerang.workers")


def require(context: Context, family: str, pair: Pair, composition: Composition) -> None:
    """Have a member's plan be a right one before anything is made by it.

    Raises CorruptCheckpoint or UnsupportedArchitecture where it is none, and Interrupted where
    only another worker can tell: that one is asked, and the job comes again.
    """
    plan = _plan(pair, composition)
    digest = _digest(plan)
    catalog = context.catalog
    if catalog.plan_is_right(digest):
        return
    if find_spec("torch") is not None:
        _verify(plan)
        catalog.remember_plan(digest)
        return
    wrong = catalog.take_wrong_plan(digest)
    if wrong is not None:
        raise CorruptCheckpoint(wrong, fix="Correct the model, then ask for the size again.")
    context.producer.send(Check(family=family))
    raise Interrupted(
        "No worker that has torch has checked the plan of this size yet.",
        value=digest[:12],
        fix="Keep a worker of the queue measure running: it was asked.",
    )


def check(context: Context, family: str, pair: Pair | None = None) -> str:
    """Check the plan of every member of a family, for workers without torch; return how many.

    What is wrong with one is kept for who would build it. Raises what opening the pair raises.
    """
    if find_spec("torch") is None:
        log.warning("plans of %s are not checked: this worker has no torch", family)
        return "no torch"
    if pair is None:
        student = context.catalog.student(context.catalog.family(family).student)
        pair = pairs.open_pair(context.settings, context.catalog, student, verify=False)
    checked = 0
    for member in context.catalog.members(family):
        plan = _plan(pair, composition_of(pair.layermap, member.code))
        digest = _digest(plan)
        if context.catalog.plan_is_right(digest):
            continue
        wrong = None
        try:
            _verify(plan)
        except Exception as error:
            if not isinstance(error, BoomerangError):
                log.exception("plan of %s of %s", member.size, family)
            wrong = said(error)
        context.catalog.remember_plan(digest, wrong)
        checked += 1
    return f"{checked} checked"


def _plan(pair: Pair, composition: Composition) -> dict[str, Any]:
    return {
        "config": member_config(pair, composition),
        "tensors": {
            item.name: (item.dtype, tuple(item.tensor.shape)) for item in place(pair, composition)
        },
        "teacher": pair.teacher.config,
        "order": [layer.teacher_index for layer in composition.layers],
    }


def _digest(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def _verify(plan: dict[str, Any]) -> None:
    """Check tensors and kinds of layers against the model built from the config, on no device."""
    from boomerang.modules.verify import verify, verify_kinds  # noqa: PLC0415 - loads torch

    verify(plan["config"], plan["tensors"])
    verify_kinds(plan["config"], plan["teacher"], plan["order"])
