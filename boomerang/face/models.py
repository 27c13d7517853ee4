"""The models that a caller names, and the pair that two of them are."""

from collections.abc import Sequence
from pathlib import Path

from boomerang.architecture.anatomy import dissect
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.hub.find import Found, find

Named = str | Path | Found
"""A folder's path, a Hub repo id, or what was found under one of them."""


def found(model: Named) -> Found:
    """The model that is named, headers only. Raises as `find`."""
    return model if isinstance(model, Found) else find(str(model))


def open_pair(teacher: Named, student: Named, *, kept: Sequence[int] | None = None) -> Pair:
    """A teacher and a student, each a folder or a Hub repo id, checked against each other.

    `kept` says which of the teacher's layers a student keeps that does not say so itself. Only
    headers are read, and of folders the embeddings, which are compared. Raises StudentMismatch,
    UnsupportedArchitecture, or as `find`.
    """
    of_teacher, of_student = found(teacher), found(student)
    # Comparing embeddings byte for byte would read weights; a remote student is believed.
    verify = of_student.folder is not None
    return Pair.of(of_teacher.checkpoint, of_student.checkpoint, kept=kept, verify=verify)


def planned_pair(
    teacher: Named, *, recipe: str | Path | None = None, kept: Sequence[int] | None = None
) -> Pair:
    """The pair that distilling would make by a recipe (the published one), keeping `kept`.

    Raises BadRecipe, StudentMismatch, UnsupportedArchitecture, or as `find`.
    """
    checkpoint = found(teacher).checkpoint
    anatomy = dissect(checkpoint)
    if recipe is None and kept is None:
        layermap = LayerMap.keeping_kinds(anatomy.depth, anatomy.kinds)
        return Pair.planned(checkpoint, layermap, frozen=anatomy.tied)
    from boomerang.recipes.recipe import Recipe  # noqa: PLC0415 - slower than a whole plan

    chosen = Recipe.load(recipe or "default")
    if kept is not None:
        chosen = chosen.override(kept=tuple(kept))
    frozen = chosen.freezes(anatomy.tied)
    return Pair.planned(checkpoint, chosen.layermap(anatomy.kinds), frozen=frozen)
