"""Students: what is distilled once for a family."""

from typing import Any

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer, Figure
from boomerang.catalog.records.states import Keying, StudentState
from boomerang.catalog.records.students import Origin

EXAMPLE: dict[str, Any] = {
    "key": "5d" * 16, "teacher": "Qwen/Qwen3-4B-Base", "teacher_commit": "906bfd4b4dc7",
    "kept": [0, 1, 2, 3, 5, 7, 34, 35], "layers": 36, "recipe": {"name": "default"},
    "recipe_name": "default", "data_digest": "c1" * 32, "seed": 0, "origin": "distilled",
    "revision_commit": None, "state": "distilling", "reason": None, "step": 120, "steps": 500,
    "loss": 2.31, "ce": 2.1, "kl": 0.4, "cosine": 0.02, "tokens": 31_457_280,
    "tokens_per_s": 45_000.0, "eta_s": 2200.0, "generation": 1, "verify": None,
    "created": 1767225600.0, "started": 1767225610.0, "finished": None, "updated": 1767226300.0,
}  # fmt: skip


class StudentAnswer(Answer):
    """A student and how far its distillation is; no folder of this machine is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    key: str | None = Field(description="its name by content; null while files are being hashed")
    teacher: str
    teacher_commit: str | None
    kept: list[int] = Field(description="layers of the teacher that it keeps")
    layers: int = Field(description="of the teacher")
    recipe: dict[str, Any]
    recipe_name: str
    data_digest: str | None
    seed: int
    origin: Origin
    revision_commit: str | None
    state: StudentState | Keying
    reason: str | None
    step: int
    steps: int
    loss: Figure | None
    ce: Figure | None
    kl: Figure | None
    cosine: Figure | None
    tokens: int
    tokens_per_s: Figure | None
    eta_s: Figure | None
    generation: int
    verify: Figure | None
    created: float
    started: float | None
    finished: float | None
    updated: float


SHOWN = tuple(StudentAnswer.model_fields)
