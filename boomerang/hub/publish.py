"""Pushing a model to the Hub: one repository for each size, one commit for each change.

The real client does the transfer (xet, or LFS without it), from byte ranges: nothing of a model is
written to a disk for it. How, and why so: docs/decisions/service/publishing.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from boomerang.assembly.bytefile import ByteFile
from boomerang.hub.client import api, hub_endpoint, hub_errors
from boomerang.hub.publishing.changes import Digests
from boomerang.hub.publishing.commit import Committer, Progress
from boomerang.hub.publishing.copies import Elsewhere
from boomerang.hub.publishing.repository import OURS, collected, opened, shown, tagged, version
from boomerang.hub.rights import Gate

__all__ = ["OURS", "Elsewhere", "Published", "publish"]


@dataclass(frozen=True, slots=True)
class Published:
    """Where a model is now. `changed` is False where the Hub had exactly these files already.

    `files` are the sha256 of each of them.
    """

    repo_id: str
    commit: str
    url: str
    changed: bool
    files: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False)

    def __str__(self) -> str:
        return self.commit


def publish(
    repo_id: str, files: Mapping[str, ByteFile], *, private: bool | None = True,
    gated: Gate | None = None, message: str, collection: str | None = None, tag: str | None = None,
    known: Mapping[str, str] | None = None, elsewhere: Sequence[Elsewhere] = (),
    progress: Progress | None = None, endpoint: str | None = None,
) -> Published:  # fmt: skip
    """Make the repository hold exactly these files, and put it into the collection of that title.

    A repository is private when it is made. One that is to be private or gated is so before
    anything is pushed; one that is not to be private is made public once it holds all files, behind
    its gate where it has one. With None its visibility is left as it is. Of an earlier version,
    files that a model consists of are removed; others are left alone. The same files again make no
    commit. The commit is tagged by its weights, or with `tag`; an empty one is none.

    `known` are sha256 of weights that need not be read for that, `elsewhere` repositories that may
    have the same files, `progress` is called with the bytes that are there and those in all; what
    it raises ends the upload. Raises BadName (also for a repository of somebody's other model),
    GatedTeacher or HubFailure.
    """
    client, digests = api(endpoint), Digests(files, known or {})
    with hub_errors(repo_id):
        info = opened(client, repo_id, private, gated)
        before = str(info.sha)
        commit = Committer(client, info, files, digests).commit(message, elsewhere, progress)
        shown(client, info, private, gated)
        sent = digests.all()
        named = version(sent) if tag is None else tag
        if named:
            tagged(client, repo_id, named, commit)
        if collection:
            collected(client, repo_id, collection, private is not False)
    url = f"{hub_endpoint(endpoint)}/{repo_id}"
    return Published(repo_id, commit, url, commit != before, files=sent)
