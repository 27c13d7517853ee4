"""The sha256 of local files, as the catalog remembers them; of large ones it is not taken here.

What has not been hashed is stood for by what is known at once, its path, size, inode and
modification time, until a worker has hashed it (decisions/service/provisional.md).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.folders import sha256_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import NotReady

AT_ONCE = 64 << 20
"""Bytes that are hashed while somebody waits: 50 ms of a processor that knows SHA-256, 160 of one
that does not. Configs, tokenizers and small models are no reason for a job."""


class Unhashed(NotReady):
    """Files have to be hashed first, and they are too large for that while somebody waits."""

    slug, title = "hashing", "Its files are being hashed"
    student: str | None = None
    """The key of the student whose files a worker has to read, where it is there already."""


@dataclass(frozen=True)
class Digests:
    """What stands for the content of each of some files.

    `unhashed` are those whose digest is not known; as long as there are any, all files are stood
    for by their signatures, so that the same files give the same names until all are hashed.
    """

    of: dict[FileSource, str]
    unhashed: tuple[FileSource, ...] = ()

    @classmethod
    def known(
        cls, catalog: Catalog, sources: Iterable[FileSource], at_once: int = AT_ONCE
    ) -> "Digests":
        """The digests of some files; those lacking are taken where they have few bytes in all.

        Raises SourceChanged where a file changes meanwhile.
        """
        wanted = dict.fromkeys(sources)
        found = catalog.known_hashes(wanted)
        unhashed = tuple(source for source in wanted if source not in found)
        if sum(source.size for source in unhashed) > at_once:
            return cls({source: signature(source) for source in wanted}, unhashed)
        for source in unhashed:
            found[source] = take_hash(catalog, source)
        return cls(found)

    def __call__(self, source: FileSource) -> str:
        """What stands for the content of one of the files."""
        return self.of[source]


def take_hash(
    catalog: Catalog, source: FileSource, told: Callable[[int], object] | None = None
) -> str:
    """The sha256 of a file, read now and remembered. Raises as `sha256_of`, which calls `told`."""
    digest = sha256_of(source, told)
    catalog.remember_hash(source.path, digest, source)
    return digest


def signature(source: FileSource) -> str:
    """What stands for a file that has not been hashed."""
    return f"unhashed {source.path} {source.size} {source.inode} {source.mtime_ns}"
