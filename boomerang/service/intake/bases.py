"""The base of a fine-tune, whose student is there already: named, or as the teacher's card says."""

from dataclasses import dataclass
from typing import Any

import yaml

from boomerang.architecture.anatomy import dissect
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.files import CARD
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.pair import Pair
from boomerang.family.related import check_fine_tune
from boomerang.service.models import pairs
from boomerang.service.settings import Settings

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Base:
    """A base with its newest student that is ready, as a pair.

    `own` is a student that was distilled from the fine-tune itself, to compare the deltas with.
    """

    name: str
    student: Student
    pair: Pair
    own: Student | None


def find_base(
    settings: Settings,
    catalog: Catalog,
    asked: str,
    teacher: Checkpoint,
    commit: str,
    named: tuple[str, ...],
    at_once: int | None,
) -> Base:
    """The base of a teacher by its name, or by the teacher's card where `asked` is `auto`.

    `named` is what the Hub read from that card. Raises BadRequest where it names none, BadRecipe
    where the base has no student that is ready, StudentMismatch where the teacher is no fine-tune
    of it, and as `open_pair` with `at_once`.
    """
    name = _named_by(teacher, named) if asked == AUTO else asked
    student = _ready(catalog, name)
    pair = pairs.open_pair(settings, catalog, student, verify=False, at_once=at_once)
    check_fine_tune(dissect(teacher), pair)
    return Base(name, student, pair, _own(catalog, commit, student))


def _named_by(teacher: Checkpoint, named: tuple[str, ...]) -> str:
    found = named or _of_card(teacher)
    if not found:
        raise BadRequest(
            f"The card of {teacher.name!r} names no base_model.",
            value=AUTO,
            fix='Name it: {"base": "owner/name"}, or leave it out to distil the teacher.',
        )
    return found[0]


def _ready(catalog: Catalog, base: str) -> Student:
    """The newest student of a base that was trained and is ready."""
    of_base = [s for s in catalog.students() if s.teacher == base and not _is_transferred(s)]
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
    return next(
        (
            s
            for s in catalog.students()
            if s.teacher_commit == commit
            and s.kept == base.kept
            and s.state is StudentState.READY
            and s.origin is Origin.DISTILLED
            and not _is_transferred(s)
        ),
        None,
    )


def _is_transferred(student: Student) -> bool:
    """Whether a student was made by a weight delta."""
    return "delta" in student.recipe


def _of_card(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The base models that a README.md beside the weights names."""
    source = checkpoint.files.get(CARD)
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
