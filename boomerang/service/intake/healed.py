"""One size of a family that is there already, asked for to be healed: found, and what heals it."""

from dataclasses import dataclass

from boomerang.architecture.bert import not_distilled
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.errors import BadRequest, NotReady
from boomerang.family.budget import meant
from boomerang.family.composition import Composition, composition_of
from boomerang.family.healed import healed_map
from boomerang.family.pair import Pair
from boomerang.hub.find import Found
from boomerang.recipes.healing import healing_recipe
from boomerang.recipes.recipe import Recipe
from boomerang.service.intake.asked import Heal
from boomerang.service.models import pairs
from boomerang.service.settings import Settings


@dataclass(frozen=True, slots=True)
class ToHeal:
    """A member, of the student and the `pair` of its family, and the recipe that heals it."""

    family: Family
    member: Member
    student: Student
    pair: Pair
    recipe: Recipe

    @property
    def composition(self) -> Composition:
        """The member's."""
        return composition_of(self.pair.layermap, self.member.code)


def find_to_heal(
    settings: Settings, catalog: Catalog, asked: Heal, teacher: Found, commit: str | None,
    most: int | None,
) -> ToHeal:  # fmt: skip
    """The member that is to be healed; `commit` is the teacher's, None while it is not known.

    Raises FamilyNotFound, NotReady before its student is ready and its order is settled, BadRequest
    for a family of another teacher, SizeNotFound, BudgetOutOfRange, BadComposition for the teacher
    itself, BadRecipe, UnsupportedArchitecture for masked language models, and as `open_pair` with
    `most` bytes at once.
    """
    catalog.check_family(asked.family)
    if catalog.waiting(asked.family) is not None:
        raise _not_ready(asked.family, "its files are being hashed")
    family = catalog.family(catalog.family_id(asked.family))
    if family.teacher != teacher.name or commit not in (None, family.commit):
        raise BadRequest(
            f"The family {asked.family!r} is of {family.teacher!r} at commit {family.commit}, not "
            f"of {teacher.name!r} as it is asked for.",
            value=asked.family,
            fix="Name its teacher, and for one of the Hub that commit as revision.",
        )
    student = catalog.student(family.student)
    if student.state is not StudentState.READY:
        raise _not_ready(asked.family, f"its student is {student.state}")
    if family.chosen is None:
        raise _not_ready(asked.family, "its patch order is not chosen yet")
    (member,) = meant([catalog.members(family.id)], asked.size)
    pair = pairs.open_pair(settings, catalog, student, verify=False, at_once=most)
    if pair.teacher.architecture.masked:
        raise not_distilled(teacher.name)
    found = ToHeal(
        family, member, student, pair, healing_recipe(student.recipe, asked.recipe, asked.steps)
    )
    healed_map(found.composition)
    return found


def _not_ready(family: str, why: str) -> NotReady:
    return NotReady(
        f"No size of the family {family!r} can be healed: {why}.",
        value=family,
        fix=f"Ask again once it is ready: GET /families/{family}/events tells how far it is.",
    )
