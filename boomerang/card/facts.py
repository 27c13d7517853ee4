"""What a model card is made of: everything that is known of a member or a student."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from boomerang.family.composition import Choice, Composition

PAPER = "2510.05064"
"""arXiv number of the method."""
HARNESS = "https://github.com/EleutherAI/lm-evaluation-harness"


@dataclass(frozen=True, slots=True)
class Size:
    """One size of the family and what was measured of it; None is what was not measured.

    `kl` is KL(teacher ‖ member) in nats a token; `naive_*` belong to the teacher's own layers at
    the same depth, without distillation. `agreement`, `acceptance`, `drafted` (shares from 0 to 1)
    and `by_position` are those of quality.measure.Likeness, `stopped` is the share of its turns in
    conversations that it ended in time. `repo_id` is where it is published,
    `flags` are the reasons for which it is not offered as good.
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
class Facts:
    """All that a card says. `size` is one of `sizes`; they are in order, smallest first.

    `teacher` is a repo id, or the bare name of a local model. `student` is the student's repo id
    where it is published. `datasets` are ids on the Hub; `text` names, for people, the text on
    which the sizes were measured. `masked` says that they are masked language models. `healed` is
    the size that the student was before it was trained by itself, where it was.
    """

    repo_id: str
    size: Size
    composition: Composition
    teacher: str
    teacher_commit: str
    order: str
    dtype: str = "bfloat16"
    student: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    language: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    sizes: tuple[Size, ...] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    text: str | None = None
    masked: bool = False
    healed: str | None = None
    tasks: tuple[Task, ...] = ()
    """Figures of `size` alone."""

    @property
    def is_student(self) -> bool:
        """Whether no block of it is patched: what the distillation made."""
        return set(self.composition.choices) == {Choice.STUDENT}

    @property
    def title(self) -> str:
        """The repository's name without its owner."""
        return self.repo_id.split("/")[-1]


def on_the_hub(name: str) -> bool:
    """Whether a name is that of a repository rather than of a folder."""
    return name.count("/") == 1 and not name.startswith("/")
