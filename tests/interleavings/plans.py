"""What is asked for in `world.World`, as a plan: families of two members."""

from typing import Any

from boomerang.catalog.records.families import NewFamily, NewMember, NewRequest, Planned
from boomerang.catalog.records.students import NewStudent
from boomerang.family.composition import composition_of
from boomerang.family.layer_map import LayerMap

KEPT, LAYERS, COMMIT = (0, 2, 3), 4, "c" * 40


def plan(key: str, order: str, requests: list[NewRequest], tasks: bool = False) -> Planned:
    """What is asked for: two requests with the same key are the same student."""
    request: dict[str, Any] = {"teacher": "org/T", "data": key, "order": order}
    request["sizes"] = [request.what for request in requests if request.kind == "build"] or None
    request["publish"] = {"namespace": "me"} if any(w.kind == "publish" for w in requests) else None
    request["tasks"] = ["t"] if tasks else None
    family = NewFamily(
        name="T", teacher="org/T", revision=None, commit=COMMIT, source=None, student=key,
        order=order, request=request, tasks={"t": None} if tasks else None,
    )  # fmt: skip
    student = NewStudent(key=key, teacher="org/T", teacher_commit=COMMIT, kept=KEPT, layers=LAYERS)
    return Planned(family=family, student=student, members=ladder(key), requests=tuple(requests))


def ladder(key: str) -> tuple[NewMember, ...]:
    """The two members of a student."""
    layermap = LayerMap(KEPT, LAYERS)
    return tuple(
        NewMember(
            k=k, size=size, code=code, digest=composition_of(layermap, code).digest(COMMIT, key),
            parameters=1000 * (k + 1), bytes=4000 * (k + 1), layers=3 + k,
        )
        for k, size, code in ((0, "1.00K", "sss+sss"), (1, "2.00K", "bbb+ttt"))
    )  # fmt: skip
