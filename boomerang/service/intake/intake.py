"""From a request to the records of a family: teacher found, student named, ladder planned.

Nothing is downloaded but headers. What this cannot turn into a family it refuses with the reason.
Files that would take long to hash are hashed by a worker, which then takes the request once more.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import not_measured
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Created, NewFamily, Planned
from boomerang.catalog.records.requests import NewWant
from boomerang.catalog.records.students import NewStudent, Origin
from boomerang.checkpoint.content import refuse_without_derivatives
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.budget import Budget
from boomerang.family.codes import named_order
from boomerang.family.composition import last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.pair import Pair
from boomerang.hub.find import Found, find
from boomerang.recipes.keys import student_key
from boomerang.recipes.recipe import Recipe
from boomerang.service.intake.bases import base_of, transferred
from boomerang.service.intake.request import FamilyRequest, HubText
from boomerang.service.messages import KeyFamily, Rehash
from boomerang.service.models import checkpoints, pairs
from boomerang.service.models.digests import AT_ONCE, Digests, Unhashed
from boomerang.service.models.members import ladder_members
from boomerang.service.producer import Producer
from boomerang.service.settings import Settings
from boomerang.texts import task_names as tasknames
from boomerang.texts.datasets import SCHEME, Dataset
from boomerang.texts.files import LocalFile, TextFile
from boomerang.texts.texts import Texts


@dataclass(frozen=True)
class Text:
    """Texts, and the digest of all of them."""

    texts: Texts
    digest: str

    @classmethod
    def of(cls, texts: Texts, digests: Digests) -> "Text":
        """From the digests of its files."""
        sources = {source.path: source for source in digests.of}

        def sha256(file: TextFile) -> str:
            if isinstance(file, LocalFile):
                return digests(sources[file.path])
            return file.sha256

        return cls(texts, texts.digest_by(sha256))


@dataclass(frozen=True)
class Intake:
    """The records of a request, and what the answer adds to the family.

    As long as there are files `unhashed` or bytes `uncompared`, commit, key and ids in it are
    provisional: they stand for the same request, and must be used for nothing else.
    """

    planned: Planned
    budget: dict[str, Any] | None
    cost: dict[str, Any]
    unhashed: tuple[FileSource, ...] = ()
    uncompared: int = 0

    @property
    def behind(self) -> int:
        """The bytes that a worker has to read before the names are known."""
        return sum(source.size for source in self.unhashed) + self.uncompared


def ask(
    settings: Settings, catalog: Catalog, producer: Producer, request: FamilyRequest
) -> tuple[str, Intake]:
    """Make the family of a request, or find it, and send what has to be done.

    Returns its id, which is provisional where files have to be hashed first. Raises whatever is
    wrong with the request.
    """
    if request.tasks:
        # Names alone: a folder of tasks is code, which no request may bring.
        tasknames.check(request.tasks, None)
    try:
        intake = take(settings, catalog, request)
    except Unhashed as error:
        if error.student is not None:
            producer.send(Rehash(key=error.student))
        raise
    planned = intake.planned
    if intake.behind:
        waiting, send = catalog.expect(planned, intake.behind)
        if send:
            producer.send(KeyFamily(family=waiting.id))
        return waiting.id, intake
    created = catalog.create_family(planned.family, planned.student, planned.members, planned.wants)
    producer.start(looked_for(settings, catalog, created))
    return created.family.id, intake


def looked_for(settings: Settings, catalog: Catalog, created: Created) -> Created:
    """A family that was asked for; where its student is ready and gone, that is made again."""
    gone = checkpoints.is_gone(settings, created.student)
    return catalog.rebuild(created.family.id) if gone else created


def take(
    settings: Settings,
    catalog: Catalog,
    request: FamilyRequest,
    at_once: int = AT_ONCE,
    *,
    compare: bool = False,
) -> Intake:
    """Turn a request into records; at most `at_once` bytes are hashed for it.

    Nor are more compared of a student that is given, but with `compare`.
    Raises whatever is wrong with the request.
    """
    endpoint, folders = settings.hub_endpoint, settings.folders
    teacher = find(request.teacher, request.revision, folders=folders, endpoint=endpoint)
    refuse_without_derivatives(request.teacher, teacher.license)
    recipe = Recipe.load(settings.recipe) if request.recipe is None else _recipe(request.recipe)
    texts = _texts(settings, request.data)
    _refuse_together(request)
    given = None
    if request.student is not None:
        given = find(request.student, folders=folders, endpoint=endpoint)
    models = [model for model in (teacher, given) if model is not None]
    files = [source for model in models for source in model.files()]
    files += [FileSource.of(file.path) for file in (texts.local() if texts else ())]
    digests = Digests.known(catalog, files, at_once)
    pair, uncompared = None, 0
    most = None if compare else at_once
    if given is not None:
        pair = Pair.of(teacher.checkpoint, given.checkpoint, kept=request.kept, verify=False)
        # Comparing weights takes as long as hashing them: it waits for that, and for a worker.
        if given.folder is not None and not digests.unhashed:
            commits = teacher.commit(digests), given.commit(digests)
            try:
                pair = pairs.compared(catalog, pair, commits, most)
            except Unhashed:
                digests, uncompared = Digests.unnamed(files), pair.compared
    commit = teacher.commit(digests)
    text = Text.of(texts, digests) if texts else None
    if request.kept is not None and given is None:
        recipe = recipe.override(kept=request.kept, name="custom")
    if given is not None and pair is not None:
        student = _given(request, pair, teacher, given, digests, text)
    elif request.base is not None:
        base = base_of(request, teacher.checkpoint, teacher.base_model)
        source = str(teacher.folder) if teacher.folder else None
        pair, student = transferred(
            settings, catalog, request, teacher.checkpoint, commit, source, base, most
        )
    else:
        pair, student = _distilled(request, teacher, commit, recipe, text)
    if request.tasks and pair.teacher.architecture.masked:
        raise not_measured(request.teacher)
    order = named_order(pair.layermap, request.order) or last_to_first(pair.layermap)
    ladder = Ladder.of(pair, order)
    family = NewFamily(
        name=request.teacher.rsplit("/", 1)[-1],
        teacher=request.teacher,
        revision=request.revision,
        commit=commit,
        source=str(teacher.folder) if teacher.folder else None,
        student=student.key,
        order=request.order,
        request=request.model_dump(mode="json"),
        license=teacher.license,
        gated=any(model.gated for model in models),
        private=any(model.private for model in models),
        published_repo=student.location if student.origin is Origin.HUB else None,
        tasks=dict.fromkeys(request.tasks or (), request.task_limit) or None,
    )
    planned = Planned(
        family=family,
        student=student,
        members=ladder_members(pair, order, commit, student.key),
        wants=tuple(_wants(request, ladder, family)),
    )
    trained = request.student is None and request.base is None
    cost = _cost(ladder, recipe if trained else None)
    bought = None if request.budget is None else _bought(request.budget, ladder)
    return Intake(planned, bought, cost, digests.unhashed, uncompared)


def _refuse_together(request: FamilyRequest) -> None:
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
    path = settings.folders.path(data)
    if path is None:
        raise BadRecipe(
            f"The text {data!r} cannot be read: no folder of local files is set.",
            value=data,
            fix="Start the service with BOOMERANG_MODELS.",
        )
    return Texts.open(path)


def _distilled(
    request: FamilyRequest, teacher: Found, commit: str, recipe: Recipe, text: Text | None
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
    if text is None:
        raise BadRecipe(
            "There is no text to distil on.",
            value=request.data,
            fix='Say which: {"data": "folder"} below BOOMERANG_MODELS, or set BOOMERANG_DATA.',
        )
    recipe.refuse_without(text.texts.lacks, text.texts.name)
    student = NewStudent(
        key=student_key(commit, layermap, recipe, text.digest),
        teacher=request.teacher,
        teacher_commit=commit,
        kept=layermap.kept,
        layers=layermap.layers,
        recipe=recipe.model_dump(mode="json"),
        recipe_name=recipe.name,
        data=text.texts.location,
        data_digest=text.digest,
        seed=recipe.seed,
        teacher_source=str(teacher.folder) if teacher.folder else None,
    )
    return pair, student


def _given(
    request: FamilyRequest,
    pair: Pair,
    teacher: Found,
    given: Found,
    digests: Digests,
    text: Text | None,
) -> NewStudent:
    commits = teacher.commit(digests), given.commit(digests)
    made_of = f"given\n{commits[0]}\n{commits[1]}\n{text.digest if text else ''}"
    if request.kept is not None:
        made_of += f"\n{pair.layermap.kept}"
    return NewStudent(
        key=hashlib.sha256(made_of.encode()).hexdigest()[:32],
        teacher=request.teacher,
        teacher_commit=commits[0],
        kept=pair.layermap.kept,
        layers=pair.layermap.layers,
        data=text.texts.location if text else None,
        data_digest=text.digest if text else None,
        origin=Origin.FOLDER if given.folder else Origin.HUB,
        location=str(given.folder) if given.folder else given.name,
        revision_commit=commits[1],
        teacher_source=str(teacher.folder) if teacher.folder else None,
    )


def _wants(request: FamilyRequest, ladder: Ladder, family: NewFamily) -> Sequence[NewWant]:
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
    if (family.gated or family.private) and not options["private"]:
        whose = f"{request.teacher!r} or its student" if request.student else repr(request.teacher)
        raise BadRequest(
            f"{whose} is gated or private, so its family is never made public.",
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
