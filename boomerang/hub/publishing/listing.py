"""What a repository holds and who sees it, by its tree alone: nothing is downloaded."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from boomerang.errors import HubFailure, TeacherNotFound
from boomerang.hub.client import api, hub_errors, patiently

_OF_THE_HUB = ".gitattributes"
"""Made with each repository, and by nobody that publishes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a tree: `sha256` of a large one, git's own digest `oid` of any."""

    oid: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at a commit. `open` says that whoever asks may read it."""

    commit: str
    private: bool
    open: bool
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Differences:
    """The names of files that a repository has no more, has otherwise, or cannot be told of."""

    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = {"is missing": self.lost, "is not what was published": self.changed}
        return ", ".join(f"{name} {what}" for what, names in said.items() for name in names)


def look(repo_id: str, revision: str | None = None, *, endpoint: str | None = None) -> Listing:
    """A repository at a revision, by default what it shows now.

    Raises TeacherNotFound where there is none, and our token is of its namespace; GatedTeacher,
    HubFailure.
    """
    client = api(endpoint)
    try:
        with hub_errors(repo_id, revision):
            info = patiently(
                lambda: client.model_info(repo_id, revision=revision, files_metadata=True)
            )
    except TeacherNotFound:
        # The Hub hides what is private from all but its owners.
        _check_token(repo_id, endpoint)
        raise
    return Listing(
        commit=str(info.sha),
        private=bool(info.private),
        open=not info.private and not info.gated,
        entries={
            sibling.rfilename: Entry(sibling.blob_id, sibling.lfs.sha256 if sibling.lfs else None)
            for sibling in info.siblings or ()
            if sibling.rfilename != _OF_THE_HUB
        },
    )


def make_private(repo_id: str, *, endpoint: str | None = None) -> None:
    """Show a repository to its owners alone. Raises as `look`."""
    client = api(endpoint)
    with hub_errors(repo_id):
        patiently(lambda: client.update_repo_settings(repo_id, private=True))


def differences(
    now: Mapping[str, Entry],
    then: Mapping[str, Entry],
    files: Mapping[str, str] | None,
    content: Callable[[str], bytes | None],
) -> Differences:
    """What of `files` (name → sha256) is not in a tree any more, or is another.

    A small file has no sha256 there: it is compared by git's digest, with what it was in the tree
    `then`, or with its `content` where that is known. Without `files` those of `then` are meant.
    """
    lost, changed, unknown = [], [], []
    for name in sorted(then if files is None else files):
        there, before = now.get(name), then.get(name)
        if there is None:
            lost.append(name)
        elif files is not None and there.sha256 is not None:
            if there.sha256 != files[name]:
                changed.append(name)
        elif before is not None:
            if (there.oid, there.sha256) != (before.oid, before.sha256):
                changed.append(name)
        else:
            known = content(name)
            if known is None:
                unknown.append(name)
            elif there.oid != blob_oid(known):
                changed.append(name)
    return Differences(tuple(lost), tuple(changed), tuple(unknown))


def blob_oid(content: bytes) -> str:
    """Git's name for a file: the sha1 of its header and content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _check_token(repo_id: str, endpoint: str | None) -> None:
    client = api(endpoint)
    if not client.token:
        raise _hidden(repo_id)
    try:
        with hub_errors(repo_id):
            user = patiently(client.whoami)
    except HubFailure as error:
        if error.transient:
            raise
        raise _hidden(repo_id) from error
    theirs = {user["name"], *(org["name"] for org in user.get("orgs", ()))}
    if repo_id.split("/")[0] not in theirs:
        raise _hidden(repo_id)


def _hidden(repo_id: str) -> HubFailure:
    return HubFailure(
        f"This worker's token is none of the owners of {repo_id!r}, so that it may be hidden.",
        value=repo_id,
        fix=f"Set HF_TOKEN to a token of {repo_id.split('/')[0]}.",
    )
