"""Comparing a given student's embeddings with its teacher's: once, and behind requests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import delete

from boomerang.catalog.tables import ComparisonRow
from boomerang.errors import SourceChanged
from boomerang.family.pair import Pair
from boomerang.service.models import digests, pairs
from tests.workers.conftest import KEPT, write_model
from tests.workers.test_keying import asked, context
from workers import keying
from workers.context import Context
from workers.measure import measure

pytestmark = pytest.mark.slow("large files are compared by a real worker")

__all__ = ["context"]


@contextmanager
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The students whose embeddings are compared with their teachers' meanwhile."""
    names: list[str] = []
    really = Pair.same_embeddings

    def note(pair: Pair) -> bool:
        names.append(pair.student.checkpoint.name)
        return really(pair)

    with monkeypatch.context() as patched:
        patched.setattr(Pair, "same_embeddings", note)
        yield names


@pytest.mark.long("large files are compared by a real worker")
def test_a_given_student_is_compared_once_and_behind_the_requests(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, given = context.catalog, {"student": "student", "data": "texts"}
    with compared(monkeypatch) as names:
        id_ = asked(context, **given)
        assert names == []
        assert keying.key(context, id_) == "keyed"
        assert names == ["student"]
        # Another request of the two, its measuring and its files take the outcome as it is.
        other = asked(context, **given, order="first")
        assert catalog.waiting(other) is None
        family = catalog.family(catalog.family_id(id_))
        measure(context, family.id)
        pairs.open_pair(context.settings, catalog, catalog.student(family.student), at_once=0)
        assert names == ["student"]


def test_files_that_are_hashed_and_not_compared_wait_too(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"student": "student", "data": "texts"}
    id_ = asked(context, **given)
    keying.key(context, id_)
    family = context.catalog.family(context.catalog.family_id(id_))
    _forget_comparisons(context)
    with compared(monkeypatch) as names:
        assert asked(context, **given) == id_
        assert context.catalog.keying(id_) is not None
        assert names == []
        assert keying.key(context, id_) == "keyed"
        assert names == ["student"]
    assert context.catalog.family_id(id_) == family.id


def test_a_family_of_before_is_compared_behind_its_first_download(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = asked(context, student="student", data="texts")
    keying.key(context, id_)
    student = context.catalog.student(context.catalog.families()[0].student)
    _forget_comparisons(context)
    with compared(monkeypatch) as names:
        for _ in range(2):
            with pytest.raises(digests.Unhashed, match="is being compared"):
                pairs.open_pair(context.settings, context.catalog, student, at_once=0)
        assert names == []
        assert keying.rehash(context, student.key) == "hashed"
        pairs.open_pair(context.settings, context.catalog, student, at_once=0)
        assert len(names) == 1


def test_what_is_compared_is_what_was_asked_for(context: Context) -> None:
    keying.key(context, asked(context, student="student", data="texts"))
    student = context.catalog.student(context.catalog.families()[0].student)
    _forget_comparisons(context)
    assert context.settings.models is not None
    folder = context.settings.models / "student"
    kept = (folder / "student_config.json").read_text()
    shutil.rmtree(folder)
    write_model(folder, len(KEPT), seed=7)
    (folder / "student_config.json").write_text(kept)
    with pytest.raises(SourceChanged):
        pairs.open_pair(context.settings, context.catalog, student)
    commits = student.teacher_commit, str(student.revision_commit)
    assert context.catalog.same_embeddings(*commits) is None


def _forget_comparisons(context: Context) -> None:
    with context.catalog.db.write() as session:
        session.execute(delete(ComparisonRow))
