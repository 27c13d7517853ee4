"""What the form shows of a ladder: sizes, what each takes to run, what fits, how long it takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.pages.rendering import mb
from boomerang.errors import BadBudget, BudgetOutOfRange
from boomerang.family.composition import bar
from boomerang.family.fits import DEVICES
from boomerang.family.ladder import Member
from boomerang.family.memory import GIB, RUNTIMES
from boomerang.service.effort import SHARE, Effort
from boomerang.service.intake.preview import Preview

WEIGHTS: tuple[tuple[str, str, str, float | None], ...] = (
    ("float32", "32 bits", "float32", None),
    ("bfloat16", "16 bits", "bfloat16", None),
    ("int8", "8 bits", "int8", None),
    ("q4", "4 bits", "bfloat16", 4.5),
)
"""How weights may be stored: key, words, dtype, and the bits of one where they are quantised.

llama.cpp's Q4_0 has 32 weights of 4 bits and a float16 to a block: 4.5 bits a weight.
"""
CONTEXTS = (2048, 8192, 32768, 131072)
"""Contexts that are shown, as far as the teacher was made for them."""


def ladder_facts(
    made: Preview, size: str | None, there: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Facts of the ladder's template; `size` is the one that was chosen, if it is still there.

    `there` are families of that teacher that were asked for before.
    """
    members = made.ladder.members
    chosen = _chosen(made, size)
    contexts = _contexts(made)
    return {
        "teacher": made.teacher.name,
        "license": made.teacher.license,
        "gated": made.teacher.gated,
        "private": made.teacher.private,
        "layers": made.pair.layermap.layers,
        "kept": list(made.pair.layermap.kept),
        "provisional": made.provisional,
        "recipe": made.recipe.name if made.recipe else None,
        "contexts": [(context, _tokens(context)) for context in contexts],
        "context": made.query.context,
        "dtype": made.query.dtype,
        "weights": [(key, words) for key, words, _, _ in WEIGHTS],
        "sizes": [_size(made, member, contexts) for member in members],
        "chosen": chosen,
        "fits": _fits(made),
        "zones": _zones(made),
        "places": places(members),
        "cost": made.cost,
        "lasting": lasting(made.effort) if made.effort else None,
        "charge": _charge(made.effort),
        "there": there,
        "said": f"{len(members)} sizes, from {members[0].size} to {members[-1].size}",
    }


def _contexts(made: Preview) -> list[int]:
    shown = {one for one in CONTEXTS if made.longest is None or one <= made.longest}
    return sorted(shown | {made.query.context} if shown else {made.query.context})


def _tokens(context: int) -> str:
    return f"{context // 1024}K" if context % 1024 == 0 else f"{context:,}"


def _chosen(made: Preview, size: str | None) -> int:
    """Where the slider stands: at what was chosen, else in the middle of what there is."""
    members = made.ladder.members
    if size:
        try:
            return members.index(made.ladder.buy(size).member)
        except (BadBudget, BudgetOutOfRange):
            # It was a size of another teacher.
            pass
    return len(members) // 2


def _size(made: Preview, member: Member, contexts: Sequence[int]) -> dict[str, Any]:
    room = [size * GIB * RUNTIMES[made.query.runtime].share for size in DEVICES]
    need = made.need(member, made.query.context, made.query.dtype)
    cells: dict[str, str] = {}
    for key, _, dtype, bits in WEIGHTS:
        for context in contexts:
            cells[f"{key}-{context}"] = mb(made.need(member, context, dtype, bits).total)
    return {
        "size": member.size,
        "parameters": f"{member.parameters:,}",
        "layers": str(member.layers),
        "stored": mb(member.bytes),
        "need": mb(need.total),
        "blocks": bar(member.composition.code),
        "cells": cells,
        "holds": [size for size, most in zip(DEVICES, room, strict=True) if need.total <= most],
    }


def _fits(made: Preview) -> list[dict[str, Any]]:
    members = made.ladder.members
    found = []
    for device, fit in zip(DEVICES, made.fits, strict=True):
        words = "none"
        if fit.member is not None:
            every = fit.member == len(members) - 1
            words = "every size" if every else f"up to {members[fit.member].size}"
        found.append({"device": device, "label": fit.label, "words": words})
    return found


def places(members: Sequence[Member]) -> list[int]:
    """Where members stand on a slider, in thousandths of its way: by their parameters."""
    least, most = members[0].parameters, members[-1].parameters
    return [round(1000 * _part(member.parameters, least, most)) for member in members]


def _part(count: int, least: int, most: int) -> float:
    return (count - least) / (most - least) if most > least else 0.0


def _zones(made: Preview) -> list[dict[str, Any]]:
    """The parts of the slider's way that devices hold, each as the smallest one that does."""
    members = made.ladder.members
    least, most = members[0].parameters, members[-1].parameters
    ends = [most if fit.parameters is None else fit.parameters for fit in made.fits]
    zones, left = list[dict[str, Any]](), 0.0
    for device, end in [*zip(DEVICES, ends, strict=True), (0, most)]:
        right = min(1.0, max(left, _part(end, least, most)))
        if right > left:
            words = f"fits {device} GB" if device else f"over {DEVICES[-1]} GB"
            zones.append({
                "device": device, "at": f"{left:.2%}", "wide": f"{right - left:.2%}",
                "middle": f"{(left + right) / 2:.2%}",
                "label": words if right - left > _ROOM * len(words) else "",
            })  # fmt: skip
        left = right
    return zones


_ROOM = 0.02
"""The part of a slider's way that a letter needs on a phone."""


def powers(count: float) -> str:
    """A large number as people write it: 5.6 × 10¹⁹."""
    digits, _, power = f"{count:.1e}".partition("e+")
    return f"{digits} × 10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def span(seconds: float) -> str:
    """A time as people say it who plan."""
    for unit, length, most in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172800)):
        if seconds < most:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.1f} days" if seconds < 864000 else f"{seconds / 86400:,.0f} days"


def lasting(effort: Effort) -> str:
    """How long it takes, and how that is known."""
    if effort.by == "recipe":
        return f"{span(effort.most)}, as the recipe says"
    if effort.by == "here":
        runs = "the last distillation" if effort.runs == 1 else f"the last {effort.runs}"
        about = span(effort.usual or effort.most)
        least, most = span(effort.least), span(effort.most)
        between = f" ({least} to {most})" if least != most else ""
        return f"about {about}{between}, as fast as {runs} here"
    on = [f"{span(seconds)} on one {name}" for name, seconds in reversed(effort.devices)]
    return f"{', '.join(on)}, at {SHARE:.0%} of its peak"


def _charge(effort: Effort | None) -> str | None:
    if effort is None or (cost := effort.json()["cost"]) is None:
        return None
    digits = 2 if cost["most"] < 100 else 0
    least, most = f"{cost['least']:,.{digits}f}", f"{cost['most']:,.{digits}f}"
    amount = least if least == most else f"{least} to {most}"
    return f"{amount} {cost['currency']}"
