"""The names of students: what decides a student decides its key."""

import hashlib
import json

from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe

TRAINER_VERSION = "3"
"""Changed whenever the same recipe would make another student."""


def student_key(teacher_commit: str, layermap: LayerMap, recipe: Recipe, data_digest: str) -> str:
    """32 hex digits that name the student these make: the same key is the same student."""
    made_of = {
        "teacher": teacher_commit,
        "kept": layermap.kept,
        "layers": layermap.layers,
        "recipe": recipe.digest(),
        "data": data_digest,
        "trainer": TRAINER_VERSION,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def delta_key(base_student: str, base_commit: str, teacher_commit: str) -> str:
    """32 hex digits that name the student a weight delta makes of these."""
    made_of = {
        "delta": base_student,
        "base": base_commit,
        "teacher": teacher_commit,
        "trainer": TRAINER_VERSION,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]
