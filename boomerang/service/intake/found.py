"""What a request names, found: its models by their headers, its text, and what stands for each.

Nothing is downloaded but headers. Files that would take long to hash are left to a worker.
"""

from dataclasses import dataclass
from pathlib import Path

from boomerang.architecture.anatomy import dissect
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin, Student
from boomerang.checkpoint.folders import refuse_without_derivatives
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.pair import Pair
from boomerang.family.related import check_fine_tune
from boomerang.hub.find import Found, find
from boomerang.recipes.former import former
from boomerang.recipes.healing import HEAL
from boomerang.recipes.recipe import student_key
from boomerang.service.intake.asked import Asked
from boomerang.service.intake.healed import ToHeal, find_to_heal
from boomerang.service.models import pairs
from boomerang.service.models.digests import Digests, Unhashed, signature
from boomerang.service.settings import Settings
from boomerang.texts.datasets import Dataset
from boomerang.texts.files import LocalFile, TextFile
from boomerang.texts.texts import Texts

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Base:
    """A base with its newest student that is ready, as a pair.

    `own` is a student that was distilled from the fine-tune itself, to compare the deltas with.
    """

    name: str
    student: Student
    pair: Pair
    own: Student | None


def find_base(
    settings: Settings, catalog: Catalog, asked: str, teacher: Found, commit: str, most: int | None
) -> Base:
    """The base of a teacher by its name, or by the teacher's card where `asked` is `auto`.

    Raises BadRequest where the card names none, BadRecipe where the base has no student that is
    ready, StudentMismatch where the teacher is no fine-tune of it, and as `open_pair` with `most`
    bytes at once.
    """
    name = _named_by(teacher) if asked == AUTO else asked
    student = _ready(catalog, name)
    pair = pairs.open_pair(settings, catalog, student, verify=False, at_once=most)
    check_fine_tune(dissect(teacher.checkpoint), pair)
    return Base(name, student, pair, _own(catalog, commit, student))


def _named_by(teacher: Found) -> str:
    found = teacher.about.base_model
    if not found:
        raise BadRequest(
            f"The card of {teacher.checkpoint.name!r} names no base_model.",
            value=AUTO,
            fix='Name it: {"base": "owner/name"}, or leave it out to distil the teacher.',
        )
    return found[0]


def _ready(catalog: Catalog, base: str) -> Student:
    """The newest student of a base that was trained and is ready."""
    of_base = [s for s in catalog.students() if s.teacher == base and not _is_derived(s)]
    for student in of_base:
        if student.state is StudentState.READY:
            return student
    states = ", ".join(sorted({str(s.state) for s in of_base}))
    raise BadRecipe(
        f"{base!r} has no student that is ready" + (f" ({states})." if states else "."),
        value=base,
        fix=f"Ask for the family of {base!r} first, and again for this one once it is ready; or "
        'leave "base" out to distil the teacher itself.',
    )


def _own(catalog: Catalog, commit: str, base: Student) -> Student | None:
    for one in catalog.students():
        ours = one.state is StudentState.READY and one.origin is Origin.DISTILLED
        same = one.teacher_commit == commit and one.kept == base.kept
        if ours and same and not _is_derived(one):
            return one
    return None


def _is_derived(student: Student) -> bool:
    """Whether a student was made of another one: by a weight delta, or by healing a size."""
    return "delta" in student.recipe or HEAL in student.recipe


@dataclass(frozen=True, slots=True)
class Text:
    """Where the text lies, and the digest of all of it."""

    location: str
    digest: str


@dataclass(frozen=True, slots=True)
class Given:
    """A student that is there already, beside its teacher."""

    model: Found
    commit: str
    pair: Pair


@dataclass(frozen=True, slots=True)
class Materials:
    """What a request names; `commit` stands for the teacher.

    Without a `student` one is to be distilled; `known` is the one that the catalog has for that. As
    long as there are files `unhashed` or bytes `uncompared`, what stands for content in it is
    provisional.
    """

    teacher: Found
    commit: str
    student: Given | Base | ToHeal | None
    text: Text | None
    known: Student | None = None
    unhashed: tuple[FileSource, ...] = ()
    uncompared: int = 0

    @property
    def source(self) -> str | None:
        """The teacher's folder as the catalog keeps it, None on the Hub."""
        return None if self.teacher.folder is None else str(self.teacher.folder)


def look_up(
    asked: Asked, settings: Settings, catalog: Catalog, at_once: int, *, compare: bool
) -> Materials:
    """Find what a request names; at most `at_once` bytes are hashed for it.

    Nor are more compared of a student that is given, but with `compare`. Raises Unhashed where the
    files behind a base's student were touched, and whatever is wrong with what is named.
    """
    folders, endpoint = settings.folders, settings.hub_endpoint
    teacher = find(asked.teacher, asked.revision, folders=folders, endpoint=endpoint)
    refuse_without_derivatives(teacher.name, teacher.license)
    texts = _texts(asked.text, endpoint)
    given = None
    if asked.student is not None:
        given = find(asked.student, folders=folders, endpoint=endpoint)
        refuse_without_derivatives(given.name, given.license)
    if texts is not None and given is None and asked.base is None and asked.heal is None:
        asked.recipe.refuse_without(texts.lacks, texts.name)
    files = [source for model in (teacher, given) if model is not None for source in model.files()]
    files += [FileSource.of(file.path) for file in (texts.local() if texts else ())]
    digests = Digests.known(catalog, files, at_once)
    most, uncompared = None if compare else at_once, 0
    student: Given | Base | ToHeal | None = None
    if given is not None:
        pair = Pair.of(teacher.checkpoint, given.checkpoint, kept=asked.kept, verify=False)
        # Comparing weights takes as long as hashing them: it waits for that, and for a worker.
        if given.folder is not None and not digests.unhashed:
            commits = teacher.commit(digests), given.commit(digests)
            try:
                pair = pairs.compared(catalog, pair, commits, most)
            except Unhashed:
                # Nor is a name by content given to what was not compared.
                digests = Digests({source: signature(source) for source in files})
                uncompared = pair.compared
        student = Given(given, given.commit(digests), pair)
    commit = teacher.commit(digests)
    if asked.base is not None:
        student = find_base(settings, catalog, asked.base, teacher, commit, most)
    text = None if texts is None else _pinned(texts, digests)
    if asked.heal is not None:
        content = None if digests.unhashed else commit
        student = find_to_heal(settings, catalog, asked.heal, teacher, content, most)
        text = _text_to_heal(student, texts, text, named=asked.request.get("data") is not None)
    known = None
    if student is None and text is not None and not digests.unhashed:
        known = find_known(asked, catalog, teacher, commit, text)
    return Materials(teacher, commit, student, text, known, digests.unhashed, uncompared)


def find_known(
    asked: Asked, catalog: Catalog, teacher: Found, commit: str, text: Text
) -> Student | None:
    """The student that the catalog has where one is asked for whose layers are measured.

    A request that names no map is for the oldest of several: the one of the measured map, and those
    that were made, or begun, before layers were measured, by what the recipe said then. None where
    there is none. Raises StudentMismatch.
    """
    recipe = asked.recipe
    if not recipe.measures:
        return None
    kinds = dissect(teacher.checkpoint).kinds
    recipes = [recipe] if asked.map_named else [recipe, *former(recipe, kinds)]
    keys = [student_key(commit, one.layermap(kinds), one, text.digest) for one in recipes]
    there = [one for one in map(catalog.student_if_any, keys) if one is not None]
    live = [one for one in there if one.state not in (StudentState.FAILED, StudentState.CANCELLED)]
    if live:
        return min(live, key=lambda one: one.created)
    # One that failed or was cancelled goes on with the layers that were measured for it.
    return next((one for one in there if one.key == keys[0]), None)


def _text_to_heal(
    of: ToHeal, texts: Texts | None, text: Text | None, *, named: bool
) -> Text | None:
    """The text that a size is healed on: its family's where a request has not `named` another."""
    student = of.student
    if not named and student.data is not None and student.data_digest is not None:
        return Text(student.data, student.data_digest)
    if texts is not None:
        of.recipe.refuse_without(texts.lacks, texts.name)
    return text


def _texts(asked: tuple[Dataset | Path, ...], endpoint: str) -> Texts | None:
    parts = [
        Texts.of_dataset(one, endpoint) if isinstance(one, Dataset) else Texts.open(one)
        for one in asked
    ]
    return Texts.joined(parts) if parts else None


def _pinned(texts: Texts, digests: Digests) -> Text:
    sources = {source.path: source for source in digests.of}

    def sha256(file: TextFile) -> str:
        return digests(sources[file.path]) if isinstance(file, LocalFile) else file.sha256

    return Text(texts.location, texts.digest_by(sha256))
