"""How a student is distilled: a recipe, and the key of the student that it makes.

No torch here: the front end reads recipes to plan and to compute keys.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boomerang.errors import BadRecipe, StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.fixed import DIGESTED, without_former
from boomerang.recipes.maps import DEFAULT, PUBLISHED, MapRule
from boomerang.texts.conversations import DATA_KINDS, DataKind

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
LossOn = Literal["all", "completions"]


class Phase(BaseModel):
    """A part of a training, `until` a fraction of its steps.

    `instruction_share` of its sequences are of conversations, the others of plain text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: Annotated[float, Field(gt=0, le=1)]
    instruction_share: Fraction


class Recipe(BaseModel):
    """Everything that decides what a distillation makes, apart from teacher and text.

    Either `steps` or `minutes` is given. `batch_tokens` is one optimiser step, `micro_batch` the
    sequences of one forward pass; a teacher whose context is shorter than `sequence_length` is
    trained at its own. `warmup` is a fraction of the steps.

    The loss is `ce_weight`·CE + `kl_weight`·KL(teacher ‖ student) + `cosine_weight`/(M+1) · Σ
    cosine distance (arXiv 2510.05064, section 3.2). `patch_after` is the fraction of plain steps
    before patch-aware ones, `patch_probability` how often a forward pass is patched after that. It
    falls in a line from there to the last step, by its share `patch_fade`.

    `map` is the rule by which the layers to keep are found, unless `kept` lists them: `published`
    or one that measures, which keeps as many. `freeze_embeddings` "auto" freezes embeddings where
    the teacher's are tied. `separate_documents` hides the other documents of a sequence from each.
    `phases` mix plain text and conversations (without them the data is taken as it comes), and
    `loss_on` "completions" takes the losses of conversations at the assistant's tokens alone
    (arXiv 2608.22854, section 3.2.1). `optimiser` "adamw8bit" keeps AdamW's moments in 8 bits
    (package torchao). What saves memory and changes no number, `activation_checkpointing`, is no
    part of the digest. The reason of each field is in docs/decisions/training/recipe.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    later: ClassVar[dict[str, Any]] = {
        "phases": [], "loss_on": "all", "optimiser": "adamw", "kept": None, "map": PUBLISHED,
        "patch_fade": 0.0,
    }  # fmt: skip
    """Fields that came after students had been made, with what these had: no other digest."""

    name: str = "custom"
    steps: Count | None = None
    minutes: Positive | None = None
    batch_tokens: Count
    sequence_length: Annotated[int, Field(ge=2)]
    micro_batch: Count = 1
    learning_rate: Positive
    warmup: Fraction = 0.01
    ce_weight: Weight = 1.0
    kl_weight: Weight = 0.1
    cosine_weight: Weight = 2.0
    freeze_embeddings: Literal["auto"] | bool = "auto"
    patch_probability: Fraction = 0.0
    patch_after: Fraction = 0.0
    patch_fade: Fraction = 0.0
    map: MapRule = DEFAULT
    kept: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    optimiser: Literal["adamw", "adamw8bit"] = "adamw"
    separate_documents: bool = False
    phases: tuple[Phase, ...] = ()
    loss_on: LossOn = "all"
    activation_checkpointing: bool = False

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, fields: Any) -> Any:
        # Layers that are listed are not measured.
        if isinstance(fields, Mapping) and fields.get("kept") is not None:
            return {"map": PUBLISHED, **fields}
        return fields

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.kept is not None and self.measures:
            raise ValueError("give either kept or a map that measures")
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")
        if self.ce_weight + self.kl_weight + self.cosine_weight == 0:
            raise ValueError("at least one of the three loss weights must be above 0")
        ends = [phase.until for phase in self.phases]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1):
            raise ValueError("phases must each end later than the one before, the last at 1.0")
        return self

    @classmethod
    def parse(cls, fields: object) -> Self:
        """A recipe from its fields. Raises BadRecipe, naming each field that is wrong."""
        if isinstance(fields, Mapping):
            fields = without_former(fields, cls.model_fields)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            wrong = [
                f"{'.'.join(str(part) for part in e['loc']) or 'recipe'}: {e['msg']}"
                for e in error.errors(include_url=False)
            ]
            raise BadRecipe(
                f"The recipe is not usable: {'; '.join(wrong)}.",
                value=next(e["input"] for e in error.errors(include_url=False)),
                fix=f"The fields are {', '.join(cls.model_fields)}.",
            ) from None

    @classmethod
    def stored(cls, fields: Mapping[str, Any]) -> Self:
        """A recipe that was written down, by this version or one that had fewer fields.

        What such a recipe does not say it had the older value of. Raises as `parse`.
        """
        return cls.parse({"map": cls.later["map"], **fields})

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """A recipe by the name of one that comes with the package, or from a TOML file.

        Raises BadRecipe where there is none, or it is not one.
        """
        path = Path(name_or_path)
        ours = {file.stem: file for file in _FOLDER.glob("*.toml")}
        path = ours.get(str(name_or_path), path)
        if not path.is_file():
            raise BadRecipe(
                f"There is no recipe {str(name_or_path)!r}.",
                value=str(name_or_path),
                fix=f"Name one of {', '.join(sorted(ours))}, or a TOML file.",
            )
        try:
            fields = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadRecipe(
                f"{path.name} is not TOML: {error}.", value=str(path), fix="Correct the file."
            ) from None
        return cls.parse({"name": path.stem, **fields})

    def override(self, **fields: Any) -> Self:
        """The recipe with other values; `steps` takes the place of `minutes` and the reverse.

        So do `kept` and `map`.
        Raises BadRecipe as `parse` does.
        """
        merged = self.model_dump()
        if fields.get("steps") is not None:
            merged["minutes"] = None
        if fields.get("minutes") is not None:
            merged["steps"] = None
        if fields.get("kept") is not None:
            merged["map"] = PUBLISHED
        if fields.get("map") is not None:
            merged["kept"] = None
        return self.parse({**merged, **fields})

    def layermap(self, kinds: Sequence[Hashable]) -> LayerMap:
        """The layers that a student keeps of a teacher whose layers are of these kinds.

        Of a recipe that `measures` they are as many as there will be, until that is done. Raises
        StudentMismatch where the kept layers are no map of such a teacher, or lack a kind.
        """
        if self.kept is not None:
            listed = LayerMap(self.kept, len(kinds))
            if lost := set(kinds) - {kinds[index] for index in self.kept}:
                raise StudentMismatch(
                    f"The kept layers {list(self.kept)} have none of the kind "
                    f"{', '.join(sorted(map(str, lost)))}.",
                    value=list(self.kept),
                    fix="Keep a layer of each kind that the teacher alternates.",
                )
            return listed
        return LayerMap.keeping_kinds(kinds)

    @property
    def measures(self) -> bool:
        """Whether the layers to keep are found by measuring the teacher."""
        return self.map != PUBLISHED

    def freezes(self, tied: bool) -> bool:
        """Whether embeddings are frozen for a teacher that is `tied` or not."""
        return tied if self.freeze_embeddings == "auto" else bool(self.freeze_embeddings)

    def share(self, kind: DataKind) -> float:
        """The share of its sequences that are of a kind; 0 without phases, which ask for none."""
        share, begins = 0.0, 0.0
        for phase in self.phases:
            share += (phase.until - begins) * phase.instruction_share
            begins = phase.until
        return share if kind == "instructions" else begins - share

    @property
    def kinds(self) -> tuple[DataKind, ...]:
        """The kinds of data that its phases need; none without phases, which take what there is."""
        return tuple(kind for kind in DATA_KINDS if self.share(kind) > 0)

    def refuse_without(self, lacks: Callable[[DataKind], bool], name: str) -> None:
        """Raise BadRecipe where the data `name` lacks a kind that the phases need."""
        for kind in self.kinds:
            if lacks(kind):
                raise missing(self.name, kind, name)

    def digest(self) -> str:
        """32 hex digits over every field that makes another student."""
        fields = self.model_dump(mode="json", exclude={"name", "activation_checkpointing"})
        fields = {k: v for k, v in fields.items() if k not in self.later or v != self.later[k]}
        fields |= DIGESTED
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]


def missing(recipe: str, kind: DataKind, data: str) -> BadRecipe:
    """The error for data without a kind that a recipe needs."""
    wanted = {
        "text": ("plain text", 'A .txt file, or lines of {"text": "…"}'),
        "instructions": (
            "instructions",
            "Lines or a table with messages, or prompt and completion",
        ),
    }
    what, file = wanted[kind]
    return BadRecipe(
        f"The recipe {recipe!r} mixes plain text and instructions, and {data!r} has no {what} to "
        "train on.",
        value=data,
        fix=f"{file}: put such a file beside the others, or choose another recipe.",
    )


_FOLDER = Path(__file__).parent


TRAINER_VERSION = "3"
"""Changed whenever the same recipe would make another student."""


def student_key(teacher_commit: str, layermap: LayerMap, recipe: Recipe, data_digest: str) -> str:
    """32 hex digits that name the student these make: the same key is the same student.

    Of layers that are measured it has how many there are, the rule, and the text, and not which
    they are: two machines may round differently, and it is asked for before they are known.
    """
    made_of = {
        "teacher": teacher_commit,
        "kept": len(layermap.kept) if recipe.measures else layermap.kept,
        "layers": layermap.layers,
        "recipe": recipe.digest(),
        "data": data_digest,
        "trainer": TRAINER_VERSION,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:32]


def heal_key(teacher_commit: str, student: str, code: str, recipe: Recipe, data_digest: str) -> str:
    """32 hex digits that name what healing makes of a member: of that student, with that code."""
    made_of = {
        "heal": student,
        "code": code,
        "teacher": teacher_commit,
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
