"""A family as one of a large teacher is, in a catalog alone: figures and no files."""

import math

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewFamily, NewMember, NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import NewStudent
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import Memory
from boomerang.family.order_forms import members_of, named_order

LAYER, ENDS = 101_000_000, 389_000_000
"""Parameters of a layer and of the embeddings of a teacher of 4B."""
DIP = 5
"""The member that is worse than the one before it."""


def large(
    catalog: Catalog, *, name: str = "Qwen3-4B-Base", order: str = "last", depth: int = 36,
    state: StudentState = StudentState.READY, measured: bool = True,
) -> str:  # fmt: skip
    """A family with one member for each block of a teacher of `depth` layers; its id.

    With `measured` every member has figures with errors and two tasks; the member DIP is a dip.
    """
    layermap = LayerMap.published(depth)
    teacher = f"Qwen/{name}"
    student = NewStudent(
        key=name.encode().hex()[:32].ljust(32, "0"), teacher=teacher, teacher_commit="9" * 40,
        kept=layermap.kept, layers=depth, recipe={"name": "default"}, recipe_name="default",
    )  # fmt: skip
    shape = Memory(tuple((2048, None) for _ in range(depth)), 2560, 9728, 151_936)
    family = NewFamily(
        name=name, teacher=teacher, revision="main", commit="906bfd4b4dc7" + "0" * 28, source=None,
        student=student.key, order=order, license="apache-2.0", request={"budget": "2.9B"},
        shape=shape.json(),
    )  # fmt: skip
    order_ = named_order(layermap, order)
    assert order_ is not None
    members = [_rung(k, one) for k, one in enumerate(members_of(layermap, order_))]
    made = catalog.create_family(
        family, student, members, [NewRequest(kind="build", what=members[9].size)]
    )
    id_ = made.family.id
    if state is not StudentState.QUEUED:
        catalog.set_student_state(student.key, StudentState.DISTILLING)
    if state not in (StudentState.QUEUED, StudentState.DISTILLING):
        catalog.set_student_state(student.key, state)
    if measured:
        catalog.set_measuring(id_, Fact.RUNNING)
        catalog.set_members(id_, members, patch_order=order_, chosen=order)
        for member in members:
            _measure(catalog, id_, member, len(members) - 1)
        catalog.set_measuring(id_, Fact.YES)
    return id_


def distilled(catalog: Catalog, key: str, steps: int, of: int) -> None:
    """Tell of the steps of a distillation so far."""
    for step in range(0, steps + 1, max(1, steps // 150)):
        loss = 1.9 + 3.1 * math.exp(-step / (of / 6)) + 0.05 * math.sin(step * 1.7)
        told = {"step": step, "steps": of, "tokens": step * 65_536, "tokens_per_s": 45_000.0}
        told |= {"loss": round(loss, 4), "ce": round(loss - 0.2, 4), "kl": round(loss / 9, 4)}
        catalog.student_progress(key, told | {"eta_s": (of - step) * 1.45})


def _rung(k: int, composition: Composition) -> NewMember:
    layers = len(composition.layers)
    parameters = LAYER * layers + ENDS
    return NewMember(
        k=k, size=f"{parameters / 1e9:.2f}B", code=composition.code, digest=f"{k:064x}",
        parameters=parameters, bytes=2 * parameters, layers=layers,
    )  # fmt: skip


def _measure(catalog: Catalog, family: str, member: NewMember, last: int) -> None:
    gone = 1 - member.k / last
    dip = 0.55 if member.k == DIP else 0.0
    figures = {
        "perplexity": round(8.91 * math.exp(0.62 * gone**1.4) + dip, 4),
        "kl": round(0.46 * gone**1.3 + dip / 8, 4), "agreement": round(1 - 0.33 * gone**1.1, 4),
        "naive_perplexity": round(8.91 * math.exp(4.4 * gone**0.9), 3),
        "naive_kl": round(3.4 * gone**0.8, 4), "acceptance": 0.9 - 0.2 * gone,
    }  # fmt: skip
    errors = {"perplexity": 0.11, "kl": 0.006, "naive_perplexity": 2.2, "windows": 256,
              "tokens": 262_144, "agreement": 0.003}  # fmt: skip
    flags = ("A dip: its perplexity is above that of the next smaller member.",) if dip else ()
    catalog.set_fact(family, member.k, "measured", Fact.YES, **figures, errors=errors, flags=flags)
    for name, best, worst in (("arc_easy", 0.785, 0.51), ("hellaswag", 0.702, 0.44)):
        metric = {"task": name, "metric": "acc_norm", "filter": "none", "samples": 500,
                  "value": round(best - (best - worst) * gone**1.2, 4), "stderr": 0.018,
                  "version": "1.0", "shots": 0}  # fmt: skip
        catalog.set_task(
            family, member.k,
            {"name": name, "limit": None, "harness": "0.4.9", "failed": None, "metrics": [metric]},
        )  # fmt: skip
