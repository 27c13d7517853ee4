"""The cards of a family's members and of its student: what the catalog knows of them, as facts."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from boomerang.architecture.runtimes import runtimes
from boomerang.card.card import card
from boomerang.card.facts import MEASURED, Facts, Size, StudentFacts, Task, Training, inherited
from boomerang.card.student import student_card
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import Fact
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.family.composition import Composition, composition_of, last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.member_config import is_tied
from boomerang.family.pair import Pair
from boomerang.hub.about import About
from boomerang.recipes.healing import HEAL, without_heal
from boomerang.texts.datasets import SCHEME, Dataset
from boomerang.texts.texts import locations


def card_text(
    pair: Pair,
    family: Family,
    student: Student,
    members: Sequence[Member],
    member: Member,
    repo_id: str,
) -> str:
    """README.md of `member` as it is called `repo_id`; `members` is the whole ladder."""
    return card(member_facts(pair, family, student, members, member, repo_id))


def member_facts(
    pair: Pair,
    family: Family,
    student: Student,
    members: Sequence[Member],
    member: Member,
    repo_id: str,
    *,
    pictures: bool = False,
) -> Facts:
    """All that is known of `member`, as `card_text`; `pictures`: they lie beside its card."""
    composition = composition_of(pair.layermap, member.code)
    where, commit = _student_repo(family, student, members)
    about = _about(family)
    files = pair.teacher.checkpoint.files
    return Facts(
        repo_id=repo_id,
        size=_size(member),
        composition=composition,
        order=family.chosen or family.order,
        student=where,
        student_commit=commit,
        student_key=student.key,
        sizes=tuple(_size(one) for one in sorted(members, key=lambda m: (m.parameters, m.k))),
        tasks=tuple(_figures(member)),
        failed=tuple(name for name, one in sorted((member.tasks or {}).items()) if one["failed"]),
        pictures=pictures,
        runtimes=_runtimes(pair, composition),
        inherited=inherited(about, _teacher(family), family.commit, files),
        **_origin(pair, student, about, _teacher(family)),
    )


def student_card_text(
    pair: Pair, student: Student, family: Family | None, repo_id: str, files: Collection[str] = ()
) -> str:
    """README.md of a student by itself, kept as `repo_id`.

    `family` is one that it is the student of: it knows what the teacher's card says. `files` are
    the names of what lies beside, so that a licence there is linked.
    """
    about = About() if family is None else _about(family)
    teacher = student.teacher.rsplit("/", 1)[-1] if student.teacher_source else student.teacher
    itself = Composition.patched(pair.layermap, ())
    ladder = Ladder.of(pair, last_to_first(pair.layermap)).members
    sizes = tuple(Size(m.size, m.parameters, m.layers) for m in ladder)
    facts = StudentFacts(
        repo_id=repo_id,
        key=student.key,
        layermap=pair.layermap,
        parameters=pair.student.checkpoint.parameters,
        sizes=sizes,
        runtimes=_runtimes(pair, itself),
        inherited=inherited(about, teacher, student.teacher_commit, files),
        **_origin(pair, student, about, teacher),
    )
    return student_card(facts)


def _origin(pair: Pair, student: Student, about: About, teacher: str) -> dict[str, Any]:
    """What members and students have alike."""
    dtype, config = pair.teacher.head_tensor.dtype, pair.teacher.config
    places = locations(student.data) if student.data else []
    parts = [Dataset.parse(p).id if p.startswith(SCHEME) else p.rsplit("/", 1)[-1] for p in places]
    trained = student.origin is Origin.DISTILLED
    delta = student.recipe.get("delta")
    fields = {} if delta else without_heal(student.recipe)
    return {
        "teacher": teacher,
        "teacher_commit": student.teacher_commit,
        "dtype": FLOAT_NAMES.get(dtype, dtype),
        "datasets": tuple(Dataset.parse(p).id for p in places if trained and p.startswith(SCHEME)),
        "text": " and ".join(parts) or None,
        "recipe": {"name": student.recipe_name, **fields} if fields else {},
        "training": _training(student) if trained and not delta else None,
        "healed": student.recipe[HEAL]["size"] if HEAL in student.recipe else None,
        "base": delta["base"] if delta else None,
        "map_rule": student.map_rule if student.pinned and not student.map_reason else None,
        "masked": pair.teacher.architecture.masked,
        "chat": about.chat,
        "context": config.get("max_position_embeddings") or config.get("n_positions"),
    }


def _teacher(family: Family) -> str:
    return family.teacher if family.source is None else family.name


def _about(family: Family) -> About:
    """What the teacher's card says; of a family from before that was kept the licence alone."""
    if family.about is None:
        return About(license=family.license)
    return About.of_json(family.about)


def _training(student: Student) -> Training | None:
    if not student.step:
        return None
    losses = {name: getattr(student, name) for name in ("loss", "ce", "kl", "cosine")}
    return Training(student.step, student.tokens, **losses)


def _student_repo(
    family: Family, student: Student, members: Sequence[Member]
) -> tuple[str | None, str | None]:
    """Where the student can be had: as it was given, as the smallest size, or as it is kept."""
    if family.published_repo is not None:
        return family.published_repo, student.revision_commit
    for member in members:
        if set(member.code.partition("+")[0]) == {"s"} and member.published is Fact.YES:
            return member.repo, None
    return student.hub_repo, student.hub_commit


def _runtimes(pair: Pair, composition: Composition) -> tuple[Any, ...]:
    kinds = [pair.teacher.kinds[layer.teacher_index] for layer in composition.layers]
    model_type = str(pair.teacher.config["model_type"])
    return runtimes(model_type, kinds, tied=is_tied(pair, composition))


def _figures(member: Member) -> Iterator[Task]:
    """The figures of a member's tasks; one that failed has none."""
    for result in (member.tasks or {}).values():
        for one in result["metrics"]:
            limited = result["limit"] is not None
            yield Task(**one, harness=result["harness"], limited=limited)


def _size(member: Member) -> Size:
    figures: dict[str, Any] = {}
    if member.measured is Fact.YES:
        # Figures of a part of the text are for who looks on, not for what travels.
        figures = {name: getattr(member, name) for name in MEASURED}
        written, spread = member.generation or {}, dict(member.errors or {})
        windows, tokens = spread.pop("windows", None), spread.pop("tokens", None)
        figures |= {
            "stopped": written.get("stopped"),
            "written": bool(written),
            "flags": tuple(member.flags or ()),
            "windows": windows and int(windows),
            "window": int(tokens / windows) if windows and tokens else None,
            "errors": {name: error for name, error in spread.items() if error is not None},
        }
    repo = member.repo if member.published is Fact.YES else None
    return Size(member.size, member.parameters, member.layers, repo_id=repo, **figures)
