"""A family planned from what was found: pair, student, ladder, what a budget buys, what it costs.

Nothing is looked up here: the same request with the same finds is the same plan.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import not_measured
from boomerang.catalog.records.families import NewFamily, NewRequest, Planned
from boomerang.catalog.records.students import NewStudent, Origin, Student
from boomerang.catalog.store import facts_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.healed import healed_pair
from boomerang.family.ladder import Bought, Ladder
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import Memory
from boomerang.family.order_forms import ORDERS, parse_order
from boomerang.family.pair import Pair
from boomerang.hub.find import Found
from boomerang.recipes.healing import HEAL
from boomerang.recipes.maps import PUBLISHED
from boomerang.recipes.recipe import Recipe, delta_key, heal_key, student_key
from boomerang.service.effort import work_a_token
from boomerang.service.intake.asked import Asked
from boomerang.service.intake.found import Base, Given, Materials, Text
from boomerang.service.intake.healed import ToHeal
from boomerang.service.intake.publishing import options_of
from boomerang.service.models.members import ladder_of, records_of


@dataclass(frozen=True)
class Plan:
    """The records of a request, and what the answer adds to the family.

    As long as there are files `unhashed` or bytes `uncompared`, commit, key and ids in it are
    provisional: they stand for the same request, and must be used for nothing else.
    """

    records: Planned
    budget: dict[str, Any] | None
    cost: dict[str, Any]
    unhashed: tuple[FileSource, ...] = ()
    uncompared: int = 0

    @property
    def behind(self) -> int:
        """The bytes that a worker has to read before the names are known."""
        return sum(source.size for source in self.unhashed) + self.uncompared


def plan(asked: Asked, materials: Materials) -> Plan:
    """Plan the family of a request. Raises whatever keeps the models from being one."""
    pair, student = _student(asked, materials)
    if asked.tasks and pair.teacher.architecture.masked:
        raise not_measured(materials.teacher.name)
    if student.provisional:
        refuse_order_in_full(asked)
    ladder = ladder_of(pair, asked.order)
    bought = None if asked.budget is None else ladder.buy(asked.budget)
    family = _family(asked, materials, student, pair)
    return Plan(
        Planned(
            family=family,
            student=student,
            members=records_of(ladder, family.commit, student.key),
            requests=tuple(_requests(asked, ladder, bought, family)),
            notify=asked.notify,
        ),
        None if bought is None else bought.json(),
        cost_of(ladder, _trained_by(asked, materials)),
        materials.unhashed,
        materials.uncompared,
    )


def _family(asked: Asked, materials: Materials, student: NewStudent, pair: Pair) -> NewFamily:
    teacher = materials.teacher
    models = [teacher, *([materials.student.model] if isinstance(materials.student, Given) else [])]
    return NewFamily(
        name=teacher.name.rsplit("/", 1)[-1],
        teacher=teacher.name,
        revision=asked.revision,
        commit=materials.commit,
        source=materials.source,
        student=student.key,
        order=asked.order,
        request=asked.request,
        license=teacher.license,
        gated=any(model.gated for model in models),
        private=any(model.private for model in models),
        published_repo=student.location if student.origin is Origin.HUB else None,
        tasks=asked.tasks,
        about=teacher.about.json(),
        shape=Memory.of(pair.teacher).json(),
    )


def _student(asked: Asked, materials: Materials) -> tuple[Pair, NewStudent]:
    if isinstance(materials.student, Given):
        return materials.student.pair, _given(asked, materials, materials.student)
    if isinstance(materials.student, Base):
        return _transferred(materials, materials.student)
    if isinstance(materials.student, ToHeal):
        return _healed(materials, materials.student)
    return _distilled(asked.recipe, materials)


def refuse_order_in_full(asked: Asked) -> None:
    """Refuse an order by layers that are not known yet. Raises BadRequest."""
    if asked.order not in ORDERS and parse_order(asked.order) is not None:
        raise BadRequest(
            f"Which layers the student keeps is still to be measured, so the order {asked.order!r} "
            "says nothing yet.",
            value=asked.order,
            fix=f"Name one of {', '.join(ORDERS)}, list the layers in kept, or ask with "
            f'"map": "{PUBLISHED}".',
        )


def _teacher(materials: Materials) -> dict[str, Any]:
    return {
        "teacher": materials.teacher.name,
        "teacher_commit": materials.commit,
        "teacher_source": materials.source,
    }


def _given(asked: Asked, materials: Materials, given: Given) -> NewStudent:
    model, layermap, text = given.model, given.pair.layermap, materials.text
    made_of = f"given\n{materials.commit}\n{given.commit}\n{text.digest if text else ''}"
    if asked.kept is not None:
        made_of += f"\n{layermap.kept}"
    return NewStudent(
        key=hashlib.sha256(made_of.encode()).hexdigest()[:32],
        **_teacher(materials),
        kept=layermap.kept,
        layers=layermap.layers,
        data=text.location if text else None,
        data_digest=text.digest if text else None,
        origin=Origin.FOLDER if model.folder else Origin.HUB,
        location=str(model.folder or model.name),
        revision_commit=given.commit,
    )


def _transferred(materials: Materials, base: Base) -> tuple[Pair, NewStudent]:
    """The student that the weight delta of the base's student makes."""
    student, frozen = base.student, base.pair.shared_embeddings
    pair = Pair.planned(materials.teacher.checkpoint, base.pair.layermap, frozen=frozen)
    delta = {
        "base": base.name,
        "base_commit": student.teacher_commit,
        "base_student": student.key,
        "reference": base.own.key if base.own else None,
    }
    return pair, NewStudent(
        key=delta_key(student.key, student.teacher_commit, materials.commit),
        **_teacher(materials),
        kept=student.kept,
        layers=student.layers,
        recipe={"delta": delta},
        recipe_name="delta",
        data=student.data,
        data_digest=student.data_digest,
        seed=student.seed,
    )


def _healed(materials: Materials, of: ToHeal) -> tuple[Pair, NewStudent]:
    """The student that training one size of a family by itself makes."""
    recipe, student, member = of.recipe, of.student, of.member
    pair = healed_pair(of.pair, of.composition, freezes=recipe.freezes(of.pair.teacher.tied))
    text = _text_of(materials)
    healed = {"family": of.family.id, "size": member.size, "code": member.code,
              "student": student.key}  # fmt: skip
    return pair, NewStudent(
        key=heal_key(materials.commit, student.key, member.code, recipe, text.digest),
        **_teacher(materials),
        kept=pair.layermap.kept,
        layers=pair.layermap.layers,
        recipe={**recipe.model_dump(mode="json"), HEAL: healed},
        recipe_name=recipe.name,
        data=text.location,
        data_digest=text.digest,
        seed=recipe.seed,
    )


def _text_of(materials: Materials) -> Text:
    if materials.text is None:
        raise BadRecipe(
            "There is no text to distil on.",
            fix='Say which: {"data": "folder"} below BOOMERANG_MODELS, or set BOOMERANG_DATA.',
        )
    return materials.text


def _trained_by(asked: Asked, materials: Materials) -> Recipe | None:
    """The recipe of the training that a request leads to, if it leads to any."""
    if isinstance(materials.student, ToHeal):
        return materials.student.recipe
    return asked.recipe if materials.student is None else None


def pair_to_distil(recipe: Recipe, teacher: Found, known: Student | None = None) -> Pair:
    """The pair that distilling by a recipe makes; with the layers of a student that is `known`.

    Raises BadRecipe where the student would be as deep as its teacher.
    """
    anatomy = dissect(teacher.checkpoint)
    layermap = recipe.layermap(anatomy.kinds)
    if known is not None:
        layermap = LayerMap(known.kept, known.layers)
    if not layermap.long:
        raise BadRecipe(
            f"A student of {anatomy.depth} layers would be as deep as {teacher.name!r}.",
            value=anatomy.depth,
            fix="Use a recipe that keeps fewer layers.",
        )
    return Pair.planned(teacher.checkpoint, layermap, frozen=recipe.freezes(anatomy.tied))


def _distilled(recipe: Recipe, materials: Materials) -> tuple[Pair, NewStudent]:
    known = materials.known
    pair = pair_to_distil(recipe, materials.teacher, known)
    layermap, text = pair.layermap, _text_of(materials)
    if known is not None:
        return pair, NewStudent(**facts_of(NewStudent, known))
    return pair, NewStudent(
        key=student_key(materials.commit, layermap, recipe, text.digest),
        **_teacher(materials),
        kept=layermap.kept,
        layers=layermap.layers,
        recipe=recipe.model_dump(mode="json"),
        recipe_name=recipe.name,
        data=text.location,
        data_digest=text.digest,
        seed=recipe.seed,
        map_rule=recipe.map if recipe.measures else None,
    )


def _requests(
    asked: Asked, ladder: Ladder, bought: Bought | None, family: NewFamily
) -> Iterator[NewRequest]:
    wanted = dict.fromkeys(ladder.resolve(size).size for size in asked.sizes)
    if bought is not None:
        # The budget itself is kept: measuring may choose an order with other sizes.
        wanted[bought.budget.text if bought.exact else asked.wanted] = None
    if asked.publish is None:
        yield from (NewRequest(kind="build", what=what) for what in wanted)
        return
    whose = repr(family.teacher) + (" or its student" if asked.student else "")
    options = options_of(asked.publish, whose, gated=family.gated, private=family.private)
    for what in wanted or ["*"]:
        yield NewRequest(kind="publish", what=what, options=options)


def cost_of(ladder: Ladder, recipe: Recipe | None) -> dict[str, Any]:
    """What a family costs: what a recipe, if any, has to do, and the bytes that are stored."""
    stored = {"stored_bytes": ladder.student.bytes, "sizes": len(ladder.members)}
    if recipe is None:
        return {"distillation": None, **stored}
    tokens = recipe.steps * recipe.batch_tokens if recipe.steps else None
    each = work_a_token(ladder.student.parameters, ladder.teacher.parameters)
    work = {"steps": recipe.steps, "minutes": recipe.minutes, "tokens": tokens,
            "flops": tokens * each if tokens else None}  # fmt: skip
    return {"distillation": work, **stored}
