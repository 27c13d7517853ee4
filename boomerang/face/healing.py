"""One size of a family healed: some training steps on it alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boomerang.architecture.bert import not_distilled
from boomerang.checkpoint.files import RECORD
from boomerang.face.members import choose
from boomerang.face.plan import Named, found, open_pair
from boomerang.face.runs import folder_of, train
from boomerang.family.healed import healed_map
from boomerang.processes.json_lines import Told
from boomerang.recipes.healing import HEAL, healing_recipe
from boomerang.recipes.recipe import heal_key
from boomerang.texts.texts import Texts


def heal(
    teacher: Named, student: Named, size: str, out: str | Path, text: str | Path, *,
    order: str = "last", recipe: str | Path | None = None, steps: int | None = None,
    kept: Sequence[int] | None = None, told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train one size of a pair for some steps, into the folder `out`, and return its record.

    `size` is a size's name or a budget, in the patch `order`. All layers of that member are trained
    in a copy, the teacher's among them, against the teacher; what comes out is a student of the
    teacher of that depth. `text`, `told` and being called again are those of `distil`, `kept` is
    that of `open_pair`. Without a `recipe` it is `heal`, made to fit the recipe of the student.

    Raises BadComposition for the teacher itself, BadRecipe, JobFailed, TrainingFailed, or as
    `open_pair` and `assemble`.
    """
    models = found(teacher), found(student)
    pair = open_pair(*models, kept=kept)
    if pair.teacher.architecture.masked:
        raise not_distilled(models[0].name)
    member = choose(pair, order, size).ladder.resolve(size)
    layermap = healed_map(member.composition)
    record = models[1].checkpoint.json(RECORD) or {}
    chosen = healing_recipe(_recipe_of(record), recipe, steps)
    texts = Texts.open(text)
    chosen.refuse_without(texts.lacks, texts.name)
    key = str(record.get("key") or models[1].commit())
    code = member.composition.code
    job = {
        "recipe": chosen.model_dump(mode="json"),
        "data": texts.location,
        "kept": list(layermap.kept),
        "key": heal_key(models[0].commit(), key, code, chosen, texts.digest),
        "heal": {
            "student": str(folder_of(models[1], told)),
            "student_key": key,
            "code": code,
            "size": member.size,
            "kept": list(pair.layermap.kept),
        },
    }
    return train(models[0], Path(out), job, told)


def _recipe_of(record: dict[str, Any]) -> dict[str, Any]:
    """The recipe in a student's boomerang.json; empty where there is none."""
    recipe = dict(record.get("recipe") or {})
    return recipe | {HEAL: record["healed"]} if "healed" in record else recipe
