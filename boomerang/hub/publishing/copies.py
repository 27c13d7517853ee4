"""Files that the Hub has already, in this repository or in one of the family's: copied there.

Between repositories the client copies what has a xet hash; which files that are is asked of the
repositories themselves, as what was once published may be gone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boomerang.hub import library
from boomerang.hub.client import patiently
from boomerang.hub.publishing.changes import WEIGHTS, Digests, listed
from boomerang.retries import STATUSES

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationCopy, HfApi
    from huggingface_hub.hf_api import ModelInfo


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A repository that was published before: at `commit`, with `files` and their sha256."""

    repo_id: str
    commit: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _There:
    size: int
    sha256: str
    path: str
    commit: str
    repo_id: str | None


def copies(
    client: "HfApi", info: "ModelInfo", sizes: Mapping[str, int], digests: Digests,
    elsewhere: Sequence[Elsewhere],
) -> dict[str, "CommitOperationCopy"]:  # fmt: skip
    """How to copy those of the large files, of these `sizes`, that the Hub has; by name.

    A file is read for its digest only where something of its size is there.
    """
    found: dict[str, CommitOperationCopy] = {}
    if not sizes:
        return found
    for there in _there(client, info, sizes, elsewhere):
        for name in sizes.keys() - found.keys():
            if sizes[name] == there.size and digests.of(name) == there.sha256:
                found[name] = library.huggingface_hub.CommitOperationCopy(
                    src_path_in_repo=there.path,
                    path_in_repo=name,
                    src_revision=there.commit,
                    src_repo_id=there.repo_id,
                    src_repo_type="model" if there.repo_id else None,
                )
        if len(found) == len(sizes):
            break
    return found


def _there(
    client: "HfApi", info: "ModelInfo", names: Iterable[str], elsewhere: Sequence[Elsewhere]
) -> Iterator[_There]:
    for name, sibling in listed(info).items():
        if sibling.lfs is not None:
            yield _There(sibling.lfs.size, sibling.lfs.sha256, name, str(info.sha), None)
    for other in elsewhere:
        if other.repo_id != info.id:
            yield from _of_another(client, other, names)


def _of_another(client: "HfApi", other: Elsewhere, names: Iterable[str]) -> Iterator[_There]:
    asked = sorted(name for name in other.files if name.endswith(WEIGHTS) or name in names)
    if not asked:
        return
    try:
        found = patiently(
            lambda: client.get_paths_info(other.repo_id, asked, revision=other.commit)
        )
    except library.errors.HfHubHTTPError as error:
        if error.response.status_code in STATUSES:
            raise
        return  # it is gone, or not for this token
    for file in found:
        lfs, xet = getattr(file, "lfs", None), getattr(file, "xet_hash", None)
        if lfs is not None and xet is not None:
            yield _There(lfs.size, lfs.sha256, file.path, other.commit, other.repo_id)
