"""Pushing a model to the Hub: one repository for each size, one commit for each change.

The real client does the transfer (xet, or LFS without it). Large files made of byte ranges are
written, sent and removed one at a time, so that no more than one shard lies on disk.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.files import CARD, CONFIG, INDEX, RECORD, travels
from boomerang.errors import BadName
from boomerang.hub import library
from boomerang.hub.client import api, hub_endpoint, hub_errors, patiently
from boomerang.hub.rights import Gate

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

FILES_A_COMMIT = 90
"""The Hub asks for fewer than 100."""
OURS = "boomerang"
"""The tag of every card that we write: weights with neither it nor RECORD beside are not ours."""
LAST = (CARD, CONFIG, INDEX)
"""Sent with the last commit: without them nothing loads a model that is half there."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where a model is now. `changed` is False where the Hub had exactly these files already."""

    repo_id: str
    commit: str
    url: str
    changed: bool

    def __str__(self) -> str:
        return self.commit


def publish(
    repo_id: str, files: Mapping[str, ByteFile], *, private: bool = True,
    gated: Gate | None = None, message: str,
    collection: str | None = None, tag: str | None = None, scratch: Path | None = None,
    endpoint: str | None = None,
) -> Published:  # fmt: skip
    """Make the repository hold exactly these files, and put it into the collection of that title.

    A private repository of ours is made public where `private` is False, once it holds them, and
    `gated` says how readers are let in: never is one open meanwhile. Files
    are written in `scratch` while they are sent, by default where the system keeps what is passing.
    Of an earlier version, files that a model consists of are removed; others are left alone. The
    same files again make no commit. Raises BadName (also for a repository of somebody's other
    model, or a public one where private was asked), GatedTeacher or HubFailure.
    """
    client = api(endpoint)
    with hub_errors(repo_id):
        patiently(
            lambda: client.create_repo(repo_id, private=private or gated is not None, exist_ok=True)
        )
        info = patiently(lambda: client.model_info(repo_id, files_metadata=True))
        _check_ours(repo_id, info, private)
        before = str(info.sha)
        if gated is not None and not info.private and info.gated != gated:
            patiently(lambda: client.update_repo_settings(repo_id, gated=gated))
        commit = _commit(client, repo_id, files, info, message, scratch)
        if info.private and not private:
            # In one call: behind its gate from the first moment on that anybody sees it.
            patiently(lambda: client.update_repo_settings(repo_id, private=False, gated=gated))
        elif gated is None and not private and info.gated:
            patiently(lambda: client.update_repo_settings(repo_id, gated=False))
        if tag is not None:
            client.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True)
        if collection is not None:
            _collect(client, repo_id, collection, private)
    return Published(repo_id, commit, f"{hub_endpoint(endpoint)}/{repo_id}", commit != before)


def _check_ours(repo_id: str, info: "ModelInfo", private: bool) -> None:
    names = {sibling.rfilename for sibling in info.siblings or ()}
    ours = OURS in (info.tags or ()) or RECORD in names
    if any(name.endswith(".safetensors") for name in names) and not ours:
        raise BadName(
            f"{repo_id!r} holds a model that is not one of Boomerang's.",
            value=repo_id,
            fix="Publish under another namespace, or remove that repository first.",
        )
    if private and not info.private:
        raise BadName(
            f"{repo_id!r} is public, and a private model was to be published.",
            value=repo_id,
            fix="Make the repository private, or publish publicly.",
        )


def _commit(
    client: "HfApi", repo_id: str, files: Mapping[str, ByteFile], info: "ModelInfo", message: str,
    folder: Path | None,
) -> str:  # fmt: skip
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    with tempfile.TemporaryDirectory(prefix="boomerang-", dir=folder) as scratch:
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            library.huggingface_hub.CommitOperationDelete(name)
            for name in sorted(filter(travels, there.keys() - files.keys()))
        ]
        for name in sorted(files, key=lambda name: (name in LAST, name)):
            if name not in there or not _same(files[name], there[name]):
                operations.append(_add(client, repo_id, name, files[name], Path(scratch)))
        commit = str(info.sha)
        parts = [
            operations[at : at + FILES_A_COMMIT] for at in range(0, len(operations), FILES_A_COMMIT)
        ]
        for number, part in enumerate(parts, 1):
            title = message if len(parts) == 1 else f"{message} ({number} of {len(parts)})"
            done = client.create_commit(repo_id, part, commit_message=title, parent_commit=commit)
            commit = done.oid
    return commit


def _same(content: ByteFile, there: "RepoSibling") -> bool:
    """Whether the Hub has this content: by sha256 for large files, by git's own digest else."""
    if content.size != there.size:
        return False
    if there.lfs is not None:
        return content.sha256() == there.lfs.sha256
    data = content.read()
    # git names a blob by the sha1 of its header and content.
    header = b"blob %d\0" % len(data)
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest() == there.blob_id


def _add(
    client: "HfApi", repo_id: str, name: str, content: ByteFile, scratch: Path
) -> "CommitOperationAdd":
    if not name.endswith(".safetensors"):
        return library.huggingface_hub.CommitOperationAdd(name, content.read())
    path = scratch / name.replace("/", "-")
    content.write(path)
    operation = library.huggingface_hub.CommitOperationAdd(name, path)
    client.preupload_lfs_files(repo_id, [operation], free_memory=False)
    if operation._upload_mode == "lfs":
        path.write_bytes(b"")
    return operation


def _collect(client: "HfApi", repo_id: str, title: str, private: bool) -> None:
    namespace = repo_id.split("/")[0]
    made: Any = client.create_collection(
        title, namespace=namespace, private=private, exists_ok=True
    )
    client.add_collection_item(made.slug, repo_id, "model", exists_ok=True)
