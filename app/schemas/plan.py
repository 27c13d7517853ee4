"""What a family would be, before it is asked for, and the teachers that there are."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer
from app.schemas.families import BoughtAnswer, CostAnswer
from boomerang.family.budget import DTYPE_BYTES
from boomerang.service.intake.preview import Preview

_MEMORY = {"weights": 5_824_876_544, "cache": 905_969_664, "overhead": 1_500_000_000,
           "total": 8_230_846_208}  # fmt: skip
EXAMPLE: dict[str, Any] = {
    "teacher": "Qwen/Qwen3-4B-Base", "commit": "906bfd4b4dc7", "license": "apache-2.0",
    "gated": False, "private": False, "student": None, "recipe": "default", "order": "auto",
    "layers": 36, "kept": [0, 1, 2, 3, 5, 7, 34, 35], "ladder": "provisional", "context": 8192,
    "longest": 32768, "dtype": "bfloat16", "runtime": "transformers",
    "members": [{
        "size": "2.91B", "k": 9, "code": "s0-8+t18-35", "parameters": 2_912_438_272,
        "bytes": 5_824_876_544, "layers": 27, "tied": True,
        "weights": {"float32": 11_649_753_088, "bfloat16": 5_824_876_544, "int8": 2_912_438_272},
        "memory": _MEMORY,
    }],
    "budget": {"asked": "3B", "size": "2.91B", "parameters": 2_912_438_272, "below_by": 87_561_728},
    "fits": [{"label": "8 GB", "bytes": 8_589_934_592, "size": "2.91B",
              "parameters": 3_020_000_000},
             {"label": "80 GB", "bytes": 85_899_345_920, "size": "4.02B", "parameters": None}],
    "cost": {"distillation": {"steps": 500, "minutes": None, "tokens": 2_097_152_000,
                              "flops": 45_000_000_000_000_000_000},
             "stored_bytes": 4_600_000_000, "sizes": 17},
    "time": {"by": "devices", "seconds": None, "least": 151_668.0, "most": 909_091.0, "runs": 0,
             "devices": [{"name": "H100", "seconds": 151_668.0}],
             "cost": {"least": 105.33, "most": 631.31, "currency": "USD"}},
}  # fmt: skip


class MemoryAnswer(Answer):
    """Bytes that running a member takes: an estimate from shapes alone."""

    weights: int = Field(description="in the dtype that was asked for")
    cache: int = Field(description="keys and values of one sequence of the context's length")
    overhead: int = Field(description="what the runtime takes beside them")
    total: int


class RungAnswer(Answer):
    """One size of a ladder that is planned."""

    size: str
    k: int
    code: str
    parameters: int
    bytes: int = Field(description="of its weights as they would be stored")
    layers: int
    tied: bool
    weights: dict[str, int] = Field(description="bytes of its weights, by dtype")
    memory: MemoryAnswer


class FitAnswer(Answer):
    """What a device holds."""

    label: str
    bytes: int
    size: str | None = Field(description="the largest member that fits; null where none does")
    parameters: int | None = Field(description="the most that would fit; null where all do")


class DeviceAnswer(Answer):
    """How long it would take on one device of a kind."""

    name: str
    seconds: float


class PriceAnswer(Answer):
    """What that time costs, by BOOMERANG_HOUR_COST."""

    least: float
    most: float
    currency: str


class TimeAnswer(Answer):
    """How long the distillation would take: an estimate, and what it stands on."""

    by: Literal["recipe", "here", "devices"] = Field(
        description="as the recipe says; as fast as earlier ones here; or on one of some devices"
    )
    seconds: float | None
    least: float
    most: float
    runs: int = Field(description="earlier distillations that it stands on")
    devices: list[DeviceAnswer]
    cost: PriceAnswer | None


class PlanAnswer(Answer):
    """A family as it would be, from headers alone: nothing was recorded, hashed or sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    teacher: str
    commit: str | None = Field(description="on the Hub; a folder's would have to be hashed")
    license: str | None
    gated: bool
    private: bool
    student: str | None
    recipe: str | None = Field(description="null for a student there is")
    order: str
    layers: int = Field(description="of the teacher")
    kept: list[int]
    ladder: Literal["provisional", "final"] = Field(
        description="provisional where the layers to keep are measured first"
    )
    context: int
    longest: int | None = Field(description="context that the teacher was made for")
    dtype: str
    runtime: str
    members: list[RungAnswer]
    budget: BoughtAnswer | None
    fits: list[FitAnswer]
    cost: CostAnswer
    time: TimeAnswer | None = Field(description="null where nothing is to be distilled")


class TeacherAnswer(Answer):
    """A model that may be a teacher."""

    name: str
    kind: Literal["folder", "hub"]
    parameters: int | None


class TeachersAnswer(Answer):
    """Folders below BOOMERANG_MODELS, then models of the Hub; `hub` says whether it answered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "teachers": [{"name": "teacher", "kind": "folder", "parameters": None},
                     {"name": "Qwen/Qwen3-4B-Base", "kind": "hub", "parameters": 4_022_468_096}],
        "hub": True,
    }]})  # fmt: skip

    teachers: list[TeacherAnswer]
    hub: bool


def plan_json(made: Preview) -> dict[str, Any]:
    """A preview as JSON."""
    query, teacher, members = made.query, made.teacher, made.ladder.members
    resolved = teacher.resolved
    return {
        "teacher": teacher.name,
        "commit": resolved.commit if resolved else None,
        "license": teacher.license,
        "gated": teacher.gated,
        "private": teacher.private,
        "student": query.student,
        "recipe": made.recipe.name if made.recipe else None,
        "order": query.order,
        "layers": made.pair.layermap.layers,
        "kept": list(made.pair.layermap.kept),
        "ladder": "provisional" if made.provisional else "final",
        "context": query.context,
        "longest": made.longest,
        "dtype": query.dtype,
        "runtime": query.runtime,
        "members": [
            {
                "size": member.size,
                "k": member.k,
                "code": member.composition.code,
                "parameters": member.parameters,
                "bytes": member.bytes,
                "layers": member.layers,
                "tied": member.tied,
                "weights": {name: member.parameters * item for name, item in DTYPE_BYTES.items()},
                "memory": need.json(),
            }
            for member, need in zip(members, made.needs, strict=True)
        ],
        "budget": made.bought.json() if made.bought else None,
        "fits": [
            {
                "label": fit.label,
                "bytes": fit.bytes,
                "size": None if fit.member is None else members[fit.member].size,
                "parameters": fit.parameters,
            }
            for fit in made.fits
        ],
        "cost": made.cost,
        "time": made.effort.json() if made.effort else None,
    }
