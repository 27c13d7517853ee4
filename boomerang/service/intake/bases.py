"""The student of a fine-tune, planned from the student of its base."""

from typing import Any

import yaml

from boomerang.architecture.anatomy import dissect
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import NewStudent, Origin, Student
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.pair import Pair
from boomerang.family.related import check_fine_tune
from boomerang.recipes.keys import delta_key
from boomerang.service.intake.request import FamilyRequest
from boomerang.service.models import pairs
from boomerang.service.settings import Settings

AUTO = "auto"


def base_of(request: FamilyRequest, checkpoint: Checkpoint, named: tuple[str, ...]) -> str:
    """The base that a request names, or that the teacher's card names where it says `auto`.

    `named` is what the Hub read from the card. Raises BadRequest where the card names none.
    """
    if request.base != AUTO:
        return str(request.base)
    found = named or _of_card(checkpoint)
    if not found:
        raise BadRequest(
            f"The card of {request.teacher!r} names no base_model.",
            value=AUTO,
            fix='Name it: {"base": "owner/name"}, or leave it out to distil the teacher.',
        )
    return found[0]


def transferred(
    settings: Settings,
    catalog: Catalog,
    request: FamilyRequest,
    teacher: Checkpoint,
    commit: str,
    source: str | None,
    base: str,
    at_once: int | None,
) -> tuple[Pair, NewStudent]:
    """The student that the weight delta of the base's student makes, planned.

    Raises BadRecipe where the base has no student that is ready, StudentMismatch where the
    teacher is no fine-tune of it, and as `open_pair` with `at_once`.
    """
    student = _ready(catalog, base)
    pair = pairs.open_pair(settings, catalog, student, verify=False, at_once=at_once)
    check_fine_tune(dissect(teacher), pair)
    planned = Pair.planned(teacher, pair.layermap, frozen=pair.shared_embeddings)
    own = _own(catalog, commit, student)
    recipe = {
        "delta": {
            "base": base,
            "base_commit": student.teacher_commit,
            "base_student": student.key,
            "reference": own.key if own else None,
        }
    }
    return planned, NewStudent(
        key=delta_key(student.key, student.teacher_commit, commit),
        teacher=request.teacher,
        teacher_commit=commit,
        kept=student.kept,
        layers=student.layers,
        recipe=recipe,
        recipe_name="delta",
        data=student.data,
        data_digest=student.data_digest,
        seed=student.seed,
        teacher_source=source,
    )


def _ready(catalog: Catalog, base: str) -> Student:
    """The newest student of a base that was trained and is ready."""
    of_base = [s for s in catalog.students() if s.teacher == base and not is_transferred(s)]
    for student in of_base:
        if student.state is StudentState.READY:
            return student
    states = ", ".join(sorted({str(s.state) for s in of_base}))
    raise BadRecipe(
        f"{base!r} has no student that is ready" + (f" ({states})." if states else "."),
        value=base,
        fix=f"Ask for the family of {base!r} first, and again for this one once it is ready; or "
        'leave "base" out to distil the teacher itself.',
    )


def _own(catalog: Catalog, commit: str, base: Student) -> Student | None:
    """A student that was distilled from the fine-tune itself, to compare the deltas with."""
    return next(
        (
            s
            for s in catalog.students()
            if s.teacher_commit == commit
            and s.kept == base.kept
            and s.state is StudentState.READY
            and s.origin is Origin.DISTILLED
            and not is_transferred(s)
        ),
        None,
    )


def is_transferred(student: NewStudent) -> bool:
    """Whether a student was made by a weight delta."""
    return "delta" in student.recipe


def _of_card(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The base models that a README.md beside the weights names."""
    source = checkpoint.files.get("README.md")
    if source is None or source.size > 1 << 20:
        return ()
    parts = source.read(0, source.size).decode("utf-8", "replace").split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return ()
    try:
        card: Any = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return ()
    found = card.get("base_model") if isinstance(card, dict) else None
    names = found if isinstance(found, list) else [found]
    return tuple(name for name in names if isinstance(name, str) and name)
