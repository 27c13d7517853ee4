"""From a request to the records of a family: teacher found, student named, ladder planned.

Nothing is downloaded but headers. What this cannot turn into a family it refuses with the reason.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang import hub, tasknames
from boomerang.anatomy import dissect
from boomerang.checkpoint import Checkpoint
from boomerang.composition import last_to_first
from boomerang.content import refuse_without_derivatives
from boomerang.distill.hub_texts import SCHEME, Dataset
from boomerang.distill.recipe import Recipe, student_key
from boomerang.distill.texts import Texts
from boomerang.encoders import not_measured
from boomerang.errors import BadName, BadRecipe, BadRequest, CorruptCheckpoint, TeacherNotFound
from boomerang.ladder import Budget, Ladder
from boomerang.pair import Pair
from boomerang.service.asks import FamilyRequest, HubText
from boomerang.service.bases import base_of, transferred
from boomerang.service.catalog import Catalog
from boomerang.service.orders import named_order
from boomerang.service.records import NewFamily, NewMember, NewStudent, NewWant, Origin
from boomerang.service.settings import Settings
from boomerang.service.shelf import folder_commit, ladder_members


@dataclass(frozen=True)
class Model:
    """A model that was named: its commit, its headers, and its folder where it is local."""

    name: str
    commit: str
    checkpoint: Checkpoint
    folder: Path | None = None
    license: str | None = None
    gated: bool = False
    private: bool = False
    base_model: tuple[str, ...] = ()


@dataclass(frozen=True)
class Intake:
    """All that `Catalog.create_family` takes, and what the answer adds to the family."""

    family: NewFamily
    student: NewStudent
    members: tuple[NewMember, ...]
    wants: tuple[NewWant, ...]
    budget: dict[str, Any] | None
    cost: dict[str, Any]


def take(settings: Settings, catalog: Catalog, request: FamilyRequest) -> Intake:
    """Turn a request into records. Raises whatever is wrong with it."""
    if request.tasks:
        # Names alone: a folder of tasks is code, which no request may bring.
        tasknames.check(request.tasks, None)
    teacher = find(settings, catalog, request.teacher, request.revision)
    refuse_without_derivatives(request.teacher, teacher.license)
    recipe = Recipe.load(settings.recipe) if request.recipe is None else _recipe(request.recipe)
    texts = _texts(settings, request.data)
    if request.base is not None and request.student is not None:
        raise BadRequest(
            "A base was given beside a student.",
            value=request.base,
            fix="Name the student, or the base whose student is adapted.",
        )
    if request.kept is not None and request.base is not None:
        raise BadRequest(
            "Kept layers were given beside a base.",
            value=request.kept,
            fix="Leave them out: they are those of the base's student.",
        )
    if request.kept is not None and request.student is None:
        recipe = recipe.override(kept=request.kept, name="custom")
    if request.student is not None:
        pair, student = _given(settings, catalog, request, teacher, texts)
    elif request.base is not None:
        base = base_of(request, teacher.checkpoint, teacher.base_model)
        source = str(teacher.folder) if teacher.folder else None
        pair, student = transferred(
            settings, catalog, request, teacher.checkpoint, teacher.commit, source, base
        )
    else:
        pair, student = _distilled(request, teacher, recipe, texts)
    if request.tasks and pair.teacher.architecture.masked:
        raise not_measured(request.teacher)
    order = named_order(pair.layermap, request.order) or last_to_first(pair.layermap)
    ladder = Ladder.of(pair, order)
    family = NewFamily(
        name=request.teacher.rsplit("/", 1)[-1],
        teacher=request.teacher,
        revision=request.revision,
        commit=teacher.commit,
        source=str(teacher.folder) if teacher.folder else None,
        student=student.key,
        order=request.order,
        request=request.model_dump(mode="json"),
        license=teacher.license,
        gated=teacher.gated,
        private=teacher.private,
        published_repo=student.location if student.origin is Origin.HUB else None,
        tasks=dict.fromkeys(request.tasks or (), request.task_limit) or None,
    )
    members = ladder_members(pair, order, teacher.commit, student.key)
    wants = tuple(_wants(request, ladder, teacher))
    trained = request.student is None and request.base is None
    cost = _cost(ladder, recipe if trained else None)
    bought = None if request.budget is None else _bought(request.budget, ladder)
    return Intake(family, student, members, wants, bought, cost)


def find(settings: Settings, catalog: Catalog, name: str, revision: str | None) -> Model:
    """A model by the name of a folder below BOOMERANG_MODELS, or by its Hub repo id."""
    try:
        return _found(settings, catalog, name, revision)
    except CorruptCheckpoint as error:
        # It names the file; a request may have named two models.
        detail = f"{name!r}: {error.detail}"
        raise CorruptCheckpoint(detail, value=error.value, fix=error.fix) from error


def _found(settings: Settings, catalog: Catalog, name: str, revision: str | None) -> Model:
    folder = local_path(settings, name)
    if folder is not None and os.path.isdir(folder):
        checkpoint = Checkpoint.open(folder, name)
        return Model(name, folder_commit(catalog, checkpoint), checkpoint, folder)
    if name.count("/") > 1:
        raise TeacherNotFound(
            f"There is no folder {name!r} below BOOMERANG_MODELS.",
            value=name,
            fix="Name a folder there, or a Hub repo id such as Qwen/Qwen3-4B-Base.",
        )
    found = hub.resolve(name, revision, endpoint=settings.hub_endpoint)
    checkpoint = hub.checkpoint(found, name)
    return Model(
        name, found.commit, checkpoint, None, found.license, found.gated, found.private,
        found.base_model,
    )  # fmt: skip


def local_path(settings: Settings, name: str) -> Path | None:
    """Where a name lies below BOOMERANG_MODELS; None where no such folder is set.

    Raises BadName for a path that leaves it, links included.
    """
    parts = name.split("/")
    if name.startswith(("/", "~")) or "\\" in name or "\0" in name or ".." in parts:
        raise BadName(
            f"{name!r} is no name of a model or a text.",
            value=name,
            fix="Give a Hub repo id, or a folder below BOOMERANG_MODELS without '..'.",
        )
    if settings.models is None:
        return None
    path = (settings.models / name).resolve()
    if not path.is_relative_to(settings.models.resolve()):
        raise BadName(
            f"{name!r} leads out of BOOMERANG_MODELS.", value=name, fix="Move the folder there."
        )
    return path


def _recipe(asked: str | dict[str, Any]) -> Recipe:
    if isinstance(asked, dict):
        return Recipe.parse(asked)
    # A name from a request must not become a path.
    if not asked.replace("-", "").replace("_", "").isalnum():
        raise BadRecipe(
            f"{asked!r} is no recipe.", value=asked, fix="Name one, or give its fields."
        )
    return Recipe.load(asked)


def _texts(settings: Settings, data: list[str | HubText] | str | HubText | None) -> Texts | None:
    if data is None:
        return Texts.open(settings.data) if settings.data is not None else None
    return Texts.joined(
        [_text(settings, one) for one in (data if isinstance(data, list) else [data])]
    )


def _text(settings: Settings, data: str | HubText) -> Texts:
    if isinstance(data, HubText):
        dataset = Dataset(data.id, data.revision, data.text)
        return Texts.of_dataset(dataset, settings.hub_endpoint)
    if data.startswith(SCHEME):
        return Texts.of_dataset(Dataset.parse(data), settings.hub_endpoint)
    path = local_path(settings, data)
    if path is None:
        raise BadRecipe(
            f"The text {data!r} cannot be read: no folder of local files is set.",
            value=data,
            fix="Start the service with BOOMERANG_MODELS.",
        )
    return Texts.open(path)


def _distilled(
    request: FamilyRequest, teacher: Model, recipe: Recipe, texts: Texts | None
) -> tuple[Pair, NewStudent]:
    anatomy = dissect(teacher.checkpoint)
    layermap = recipe.layermap(anatomy.kinds)
    if not layermap.long:
        raise BadRecipe(
            f"A student of {anatomy.depth} layers would be as deep as {teacher.name!r}.",
            value=anatomy.depth,
            fix="Use a recipe that keeps fewer layers.",
        )
    pair = Pair.planned(teacher.checkpoint, layermap, frozen=recipe.freezes(anatomy.tied))
    if texts is None:
        raise BadRecipe(
            "There is no text to distil on.",
            value=request.data,
            fix='Say which: {"data": "folder"} below BOOMERANG_MODELS, or set BOOMERANG_DATA.',
        )
    recipe.refuse_without(texts.lacks, texts.name)
    student = NewStudent(
        key=student_key(teacher.commit, layermap, recipe, texts.digest),
        teacher=request.teacher,
        teacher_commit=teacher.commit,
        kept=layermap.kept,
        layers=layermap.layers,
        recipe=recipe.model_dump(mode="json"),
        recipe_name=recipe.name,
        data=texts.location,
        data_digest=texts.digest,
        seed=recipe.seed,
        teacher_source=str(teacher.folder) if teacher.folder else None,
    )
    return pair, student


def _given(
    settings: Settings, catalog: Catalog, request: FamilyRequest, teacher: Model,
    texts: Texts | None,
) -> tuple[Pair, NewStudent]:  # fmt: skip
    given = find(settings, catalog, str(request.student), None)
    verify = given.folder is not None
    pair = Pair.of(teacher.checkpoint, given.checkpoint, kept=request.kept, verify=verify)
    made_of = f"given\n{teacher.commit}\n{given.commit}\n{texts.digest if texts else ''}"
    if request.kept is not None:
        made_of += f"\n{pair.layermap.kept}"
    student = NewStudent(
        key=hashlib.sha256(made_of.encode()).hexdigest()[:32],
        teacher=request.teacher,
        teacher_commit=teacher.commit,
        kept=pair.layermap.kept,
        layers=pair.layermap.layers,
        data=texts.location if texts else None,
        data_digest=texts.digest if texts else None,
        origin=Origin.FOLDER if given.folder else Origin.HUB,
        location=str(given.folder) if given.folder else given.name,
        revision_commit=given.commit,
        teacher_source=str(teacher.folder) if teacher.folder else None,
    )
    return pair, student


def _wants(request: FamilyRequest, ladder: Ladder, teacher: Model) -> Sequence[NewWant]:
    asked = [ladder.resolve(size).name for size in request.sizes or []]
    if request.budget is not None:
        _bought(request.budget, ladder)
        # The budget itself is kept: measuring may choose an order with other sizes.
        budget = Budget.parse(request.budget)
        exact = ladder.find(budget.text)
        plain = exact is not None or isinstance(request.budget, str)
        asked.append(budget.text if plain else str(budget.parameters))
    if request.publish is None:
        return [NewWant(kind="build", what=what) for what in dict.fromkeys(asked)]
    options = request.publish.model_dump()
    if (teacher.gated or teacher.private) and not options["private"]:
        raise BadRequest(
            f"{request.teacher!r} is gated or private, so its family is never made public.",
            value=False,
            fix="Publish with private: true.",
        )
    return [NewWant(kind="publish", what=w, options=options) for w in dict.fromkeys(asked) or ["*"]]


def _bought(asked: Any, ladder: Ladder) -> dict[str, Any]:
    """What a budget buys; a size's exact name is matched before it is read as a number."""
    budget = Budget.parse(asked)
    member = ladder.find(budget.text) or ladder.within(budget)
    return {
        "asked": budget.text,
        "size": member.name,
        "parameters": member.parameters,
        "below_by": max(budget.parameters - member.parameters, 0),
    }


def _cost(ladder: Ladder, recipe: Recipe | None) -> dict[str, Any]:
    """What the family costs: 6 FLOPs a token and parameter to train, 2 for the teacher's pass."""
    stored = {"stored_bytes": ladder.student.bytes, "sizes": len(ladder.members)}
    if recipe is None:
        return {"distillation": None, **stored}
    tokens = recipe.steps * recipe.batch_tokens if recipe.steps else None
    each = 6 * ladder.student.parameters + 2 * ladder.teacher.parameters
    work = {"steps": recipe.steps, "minutes": recipe.minutes, "tokens": tokens,
            "flops": tokens * each if tokens else None}  # fmt: skip
    return {"distillation": work, **stored}
