"""What a model card is made of: everything that is known of a member or a student."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from boomerang.architecture.runtimes import Runtime
from boomerang.checkpoint.files import is_licence
from boomerang.family.composition import Choice, Composition, Side
from boomerang.family.layer_map import LayerMap
from boomerang.hub.about import About

PAPER = "2510.05064"
"""arXiv number of the method."""
HARNESS = "https://github.com/EleutherAI/lm-evaluation-harness"
HUB = "https://huggingface.co"
METHOD = (
    "[Boomerang Distillation Enables Zero-Shot Model Size Interpolation]"
    f"(https://arxiv.org/abs/{PAPER})"
)
QUALITY, LAYERS = "images/quality.png", "images/layers.png"
"""The pictures beside a published card: the family's curve, and which layers come from where."""


@dataclass(frozen=True, slots=True)
class Size:
    """One size of the family and what was measured of it; None is what was not measured.

    `kl` is KL(teacher ‖ member) in nats a token; `naive_*` belong to the teacher's own layers at
    the same depth, without distillation. `agreement`, `acceptance`, `drafted` (shares from 0 to 1)
    and `by_position` are those of quality.measure.Likeness, `stopped` is the share of its turns in
    conversations that it ended in time, `written` says that what it writes was looked at. `errors`
    has the standard errors of the first four, by name, over `windows` windows of `window` tokens.
    `repo_id` is where it is published, `flags` are the reasons for which it is not offered as good.
    """

    name: str
    parameters: int
    layers: int
    perplexity: float | None = None
    kl: float | None = None
    naive_perplexity: float | None = None
    naive_kl: float | None = None
    repo_id: str | None = None
    flags: tuple[str, ...] = ()
    agreement: float | None = None
    acceptance: float | None = None
    drafted: float | None = None
    by_position: tuple[float | None, ...] | None = None
    stopped: float | None = None
    written: bool = False
    errors: Mapping[str, float] = field(default_factory=dict)
    windows: int | None = None
    window: int | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a figure of held-out text."""
        return self.perplexity is not None or self.kl is not None


MEASURED = (
    "perplexity", "kl", "naive_perplexity", "naive_kl", "agreement", "acceptance", "drafted",
    "by_position",
)  # fmt: skip
"""The fields of a size that are figures."""


@dataclass(frozen=True, slots=True)
class Task:
    """One figure of the evaluation harness, whose version is `harness`.

    `stderr` is its standard error, `shots` the examples in the prompt, `samples` the number of
    examples it is taken over; `limited` says that the task has more.
    """

    task: str
    metric: str
    value: float
    stderr: float | None = None
    filter: str = "none"
    version: str | None = None
    samples: int | None = None
    shots: int | None = None
    harness: str | None = None
    limited: bool = False

    @property
    def label(self) -> str:
        """The metric, with the filter of answers where there is one."""
        return self.metric if self.filter == "none" else f"{self.metric} ({self.filter})"


@dataclass(frozen=True, slots=True)
class Training:
    """How a student's training ended: its steps, tokens, and the losses of its last steps.

    Cross-entropy and KL are in nats a token, `cosine` is the mean distance of hidden states.
    """

    steps: int
    tokens: int
    loss: float | None = None
    ce: float | None = None
    kl: float | None = None
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the teacher's card says, and stands for what is made of it too.

    `license_file` is the name of the licence that travels with the model.
    """

    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    license_file: str | None = None
    language: tuple[str, ...] = ()


def inherited(about: About, teacher: str, commit: str, files: Collection[str]) -> Inherited:
    """What stands for a model that is made of this teacher at this commit.

    `files` are the names of what travels with it. A link to a file of the teacher's that does not
    leads to the teacher.
    """
    licence = next(filter(is_licence, sorted(files)), None)
    where = about.license_link
    if where is not None and "://" not in where and where not in files:
        where = f"{HUB}/{teacher}/blob/{commit}/{where}" if on_the_hub(teacher) else None
    if where is None and about.license == "other":
        where = licence
    named = about.license_name
    return Inherited(about.license, named, where, licence, about.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What members and students have alike: where they come from, and how the student was made.

    `teacher` is a repo id, or the bare name of a local model. `recipe` has the settings of the
    training that made the student, empty for one that was given; `datasets` are the ids on the Hub
    of what it was trained on, `text` names, for people, that and what it was measured on. `healed`
    is the size that the student was before it was trained by itself, where it was; `base` the model
    whose student lent it its weight delta; `map_rule` the rule by which the layers that it keeps
    were found, where that was by measuring. `chat` says that there is a chat template, `context` is
    the number of tokens that its config allows. `runtimes` are the programs that run it.
    """

    repo_id: str
    teacher: str
    teacher_commit: str
    dtype: str = "bfloat16"
    inherited: Inherited = Inherited()
    datasets: tuple[str, ...] = ()
    text: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)
    training: Training | None = None
    healed: str | None = None
    base: str | None = None
    map_rule: str | None = None
    masked: bool = False
    chat: bool = False
    context: int | None = None
    runtimes: tuple[Runtime, ...] = ()

    @property
    def distilled(self) -> bool:
        """Whether its student was made by boomerang distillation, as far as anybody knows."""
        return bool(self.recipe) or self.base is not None

    @property
    def title(self) -> str:
        """The repository's name without its owner."""
        return self.repo_id.split("/")[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Origin):
    """All that the card of a size says. `size` is one of `sizes`, which are in order, smallest
    first, the teacher last.

    `student` is the student's repo id where it is published, `student_commit` its commit there;
    `student_key` names it by content. `order` is how the ladder is patched. `failed` are the tasks
    that ended without a figure. `pictures` says that they lie beside the card.
    """

    size: Size
    composition: Composition
    order: str
    student: str | None = None
    student_commit: str | None = None
    student_key: str | None = None
    sizes: tuple[Size, ...] = ()
    tasks: tuple[Task, ...] = ()
    """Figures of `size` alone."""
    failed: tuple[str, ...] = ()
    pictures: bool = False

    @property
    def is_student(self) -> bool:
        """Whether no block of it is patched: what the distillation made."""
        return set(self.composition.choices) == {Choice.STUDENT}

    @property
    def is_teacher(self) -> bool:
        """Whether nothing of it is the student's."""
        return self.composition.sides == {Side.TEACHER}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentFacts(Origin):
    """All that the card of a student by itself says.

    `layermap` has the teacher layers that it keeps, `key` names it by content. `sizes` are what can
    be made of it and its teacher.
    """

    key: str
    layermap: LayerMap
    parameters: int
    sizes: tuple[Size, ...] = ()


def on_the_hub(name: str) -> bool:
    """Whether a name is that of a repository rather than of a folder."""
    return name.count("/") == 1 and not name.startswith("/")
