"""Single members after some steps of their own (`boomerang heal`), at the sizes of own students."""

import torch

from benchmarks.teachers.runs import Family, Subject, measured
from boomerang.checkpoint.table import Checkpoint
from boomerang.face.healing import heal
from boomerang.family.composition import Composition
from boomerang.family.healed import healed_map
from boomerang.family.ladder import Ladder
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.couple import couple
from boomerang.modules.load import load
from boomerang.quality.measure import Quality

STEPS = 60


def healed(subject: Subject, family: Family, split: str) -> dict[int, Quality]:
    """The members of a family at the subject's own sizes, each healed; by layers."""
    pair = Pair.of(Checkpoint.open(subject.teacher), Checkpoint.open(family.folder))
    order = tuple(code.partition("+")[0] for code in family.codes)
    ladder = {member.layers: member for member in Ladder.of(pair, order).members}
    found = {}
    for layers in subject.own:
        out = family.folder.parent / f"{family.folder.name}-healed-{layers}"
        if not out.exists():
            heal(
                subject.teacher, family.folder, ladder[layers].size, out, subject.data,
                order=",".join(order), steps=STEPS,
            )  # fmt: skip
        made: LayerMap = healed_map(ladder[layers].composition)
        models = [load(folder, dtype=torch.float32) for folder in (subject.teacher, out)]
        both = couple(models[0], models[1], made)
        (found[layers],) = measured(subject, both, [Composition.patched(made, ())], split)
    return found
