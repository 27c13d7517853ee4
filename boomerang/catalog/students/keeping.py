"""Students that are kept on the Hub, and those that are to be and are not yet."""

from collections.abc import Iterator, Mapping

from sqlalchemy import delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import Lease, StudentState
from boomerang.catalog.records.students import Origin
from boomerang.catalog.setbacks import Limits, Setback, afresh, again, gave_up, later
from boomerang.catalog.store import Store, student_row
from boomerang.catalog.stores.publications import outdate_cards
from boomerang.catalog.tables import FamilyRow, KeepingRow, StudentRow


class KeepingStore(Store):
    """Where students are kept, by their key."""

    def student_kept(
        self, key: str, repo: str, commit: str, files: Mapping[str, str], *,
        lease: Lease | None = None,
    ) -> bool:  # fmt: skip
        """A repository holds the student whose weights have these sha256, as of a commit.

        False where the student is another one by now. Raises LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row = student_row(session, key)
            if row.state != StudentState.READY or row.files not in (None, dict(files)):
                return False
            row.files = dict(files)
            kept(session, row, repo, commit)
            return True

    def student_unkept(
        self, key: str, repo: str, reason: str, *, lease: Lease | None = None
    ) -> None:
        """What a repository of ours holds is not the student: it is pushed there again."""
        with self.db.write(lease) as session:
            row = student_row(session, key)
            row.hub_repo, row.hub_commit, row.updated = repo, None, session.now()
            session.note("not-kept", {"reason": reason, "again_in": 0.0}, student=key)
            expect(session, row)

    def student_not_kept(
        self, key: str, reason: str, setback: tuple[Setback, Limits] | None, *,
        lease: Lease | None = None,
    ) -> bool:  # fmt: skip
        """A student could not be pushed; whether it is tried again, never without a setback.

        It stays ready: its reason says what is in the way. Raises LostLease, NotFound.
        """
        with self.db.write(lease) as session:
            row, wait = student_row(session, key), None
            if row.state != StudentState.READY or row.hub_commit is not None:
                return False
            job = session.get(KeepingRow, key) or expect(session, row)
            if setback is not None:
                kind, limits = setback
                wait = again(job, kind, session.now(), limits)
                reason = gave_up(reason, limits) if wait is None else later(reason, wait)
            not_kept(session, row, job, reason, wait)
            return wait is not None

    def keeps_waiting(self, key: str) -> bool:
        """Whether a student is on its way to the Hub."""
        with self.db.read() as session:
            job = session.get(KeepingRow, key)
            return job is not None and not job.over


def unkept(session: Session) -> Iterator[tuple[StudentRow, KeepingRow]]:
    """Students of ours that are ready and not on the Hub, each with its job."""
    statement = select(StudentRow).where(
        StudentRow.state == StudentState.READY.value,
        StudentRow.origin == Origin.DISTILLED.value,
        StudentRow.hub_commit.is_(None),
    )
    for row in session.scalars(statement).all():
        job = session.get(KeepingRow, row.key)
        if job is None:
            # It was ready before anybody wanted it there.
            job = KeepingRow(key=row.key, over=False, attempts=0, sent=0.0, sends=0)
            session.add(job)
        yield row, job


def expect(session: Session, row: StudentRow) -> KeepingRow:
    """Have a student kept on the Hub, as if nobody had tried yet. The caller sends the job."""
    job = session.get(KeepingRow, row.key)
    if job is None:
        job = KeepingRow(key=row.key)
        session.add(job)
    job.over, job.waited = False, None
    afresh(job, session.now())
    return job


def kept(session: Session, row: StudentRow, repo: str, commit: str) -> None:
    """A student is kept in a repository as of a commit, with the event."""
    row.hub_repo, row.hub_commit, row.reason = repo, commit, None
    row.updated = session.now()
    session.execute(delete(KeepingRow).where(KeepingRow.key == row.key))
    for family in session.scalars(select(FamilyRow.id).where(FamilyRow.student == row.key)):
        # Cards say where the student is.
        outdate_cards(session, family)
    session.note("kept", {"repo": repo, "commit": commit}, student=row.key)


def not_kept(
    session: Session, row: StudentRow, job: KeepingRow, reason: str, wait: float | None
) -> None:
    """A student is not kept on the Hub; it is tried again after `wait` seconds, if at all."""
    job.over = wait is None
    row.reason, row.updated = f"not kept on the Hub: {reason}", session.now()
    session.note("not-kept", {"reason": reason, "again_in": wait}, student=row.key)
