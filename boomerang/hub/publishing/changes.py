"""How the files that are to be published differ from those that a repository holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.files import travels
from boomerang.hub.publishing.listing import blob_oid

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

WEIGHTS = ".safetensors"


class Digests:
    """The sha256 of files by name, each found once.

    Of weights whose digest is `known` nothing is read: they are large, and may lie elsewhere.
    """

    def __init__(self, files: Mapping[str, ByteFile], known: Mapping[str, str]) -> None:
        self._files = files
        self._found = {name: one for name, one in known.items() if name.endswith(WEIGHTS)}

    def of(self, name: str) -> str:
        """The digest of a file, which is read for that where nobody knows it."""
        if name not in self._found:
            self._found[name] = self._files[name].sha256()
        return self._found[name]

    def put(self, name: str, sha256: str) -> None:
        """Whoever sent a file has found its digest on the way."""
        self._found[name] = sha256

    def all(self) -> dict[str, str]:
        """Those of every file."""
        return {name: self.of(name) for name in self._files}


@dataclass(frozen=True)
class Changes:
    """What a repository lacks of a model's files, and what it has too many; false where neither."""

    send: Mapping[str, ByteFile]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.send or self.remove)


def listed(info: "ModelInfo") -> dict[str, "RepoSibling"]:
    """The files of a repository by name."""
    return {sibling.rfilename: sibling for sibling in info.siblings or ()}


def changes(files: Mapping[str, ByteFile], info: "ModelInfo", digests: Digests) -> Changes:
    """What is to be done for the repository to hold these files.

    Of an earlier version, files that a model consists of are removed; others are left alone.
    """
    there = listed(info)
    lacking = {
        name: content
        for name, content in sorted(files.items())
        if name not in there or not _same(name, content, there[name], digests)
    }
    return Changes(lacking, tuple(sorted(filter(travels, there.keys() - files.keys()))))


def _same(name: str, content: ByteFile, there: "RepoSibling", digests: Digests) -> bool:
    """Whether the Hub has this content: by sha256 for large files, by git's own digest else."""
    if content.size != there.size:
        return False
    if there.lfs is not None:
        return digests.of(name) == there.lfs.sha256
    return blob_oid(content.read()) == there.blob_id
