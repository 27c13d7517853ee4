"""What was found out about files: their digests, which are equal, and
which plans of files are right.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import select

from boomerang.catalog.store import Store
from boomerang.catalog.tables import ComparisonRow, FilesRow, HashRow, PlanRow
from boomerang.checkpoint.sources import FileSource

_AT_ONCE = 1000
"""Names in one question to the database."""


class FileStore(Store):
    """Digests of files, by path and by commit."""

    def known_hash(self, path: Path) -> str | None:
        """The sha256 of a file, if it was taken of the file as it is now."""
        source = FileSource.of(path)
        return self.known_hashes([source]).get(source)

    def known_hashes(self, sources: Iterable[FileSource]) -> dict[FileSource, str]:
        """The sha256 of those files of which it was taken as they were when they were opened."""
        by_path = {str(source.path.absolute()): source for source in sources}
        found: dict[FileSource, str] = {}
        paths = list(by_path)
        with self.db.read() as session:
            for at in range(0, len(paths), _AT_ONCE):
                some = HashRow.path.in_(paths[at : at + _AT_ONCE])
                for row in session.scalars(select(HashRow).where(some)):
                    source = by_path[row.path]
                    now = (source.size, source.inode, source.mtime_ns)
                    if (row.size, row.inode, row.mtime_ns) == now:
                        found[source] = row.sha256
        return found

    def remember_hash(self, path: Path, sha256: str, source: FileSource | None = None) -> None:
        """Remember a file's sha256; `source` is the file as it was when it was hashed."""
        source = source or FileSource.of(path)
        with self.db.write() as session:
            session.merge(
                HashRow(
                    path=str(path.absolute()),
                    size=source.size,
                    inode=source.inode,
                    mtime_ns=source.mtime_ns,
                    sha256=sha256,
                )
            )

    def hash_of(self, path: Path) -> str | None:
        """The sha256 that was taken of a file last, whatever the file is now."""
        with self.db.read() as session:
            row = session.get(HashRow, str(path.absolute()))
            return None if row is None else row.sha256

    def files_at(self, commit: str) -> dict[str, str] | None:
        """The sha256 of each file of a model at a commit, by path, if they were written down."""
        with self.db.read() as session:
            row = session.get(FilesRow, commit)
            return None if row is None else dict(row.files)

    def remember_files(self, commit: str, files: Mapping[str, str]) -> None:
        """Write down the files of a model at a commit, once it is known that they are whole."""
        with self.db.write() as session:
            session.merge(FilesRow(commit=commit, files=dict(files)))

    def same_embeddings(self, teacher: str, student: str) -> bool | None:
        """Whether two models have the same embeddings, by their commits; None where unknown."""
        with self.db.read() as session:
            row = session.get(ComparisonRow, (teacher, student))
            return None if row is None else row.same

    def remember_same_embeddings(self, teacher: str, student: str, same: bool) -> None:
        """Remember what comparing the embeddings of two models came to, by their commits."""
        with self.db.write() as session:
            session.merge(ComparisonRow(teacher=teacher, student=student, same=same))

    def plan_is_right(self, digest: str) -> bool:
        """Whether a plan was checked against the architecture, and passed; by its sha256."""
        with self.db.read() as session:
            row = session.get(PlanRow, digest)
            return row is not None and row.wrong is None

    def remember_plan(self, digest: str, wrong: str | None = None) -> None:
        """Remember what checking a plan came to; `wrong` says what is, if anything."""
        with self.db.write() as session:
            session.merge(PlanRow(digest=digest, wrong=wrong, checked=session.now()))

    def take_wrong_plan(self, digest: str) -> str | None:
        """What is wrong with a plan, told once: whoever asks again has it checked again."""
        with self.db.write() as session:
            row = session.get(PlanRow, digest)
            if row is None or row.wrong is None:
                return None
            session.delete(row)
            return row.wrong
