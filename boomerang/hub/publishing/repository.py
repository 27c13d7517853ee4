"""A repository around its files: that it is ours, who sees it and when, its tag, its collection."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from boomerang.checkpoint.files import RECORD
from boomerang.errors import BadName
from boomerang.hub.client import patiently
from boomerang.hub.publishing.changes import WEIGHTS, listed
from boomerang.hub.rights import Gate

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

OURS = "boomerang"
"""The tag of every card that we write: weights with neither it nor RECORD beside are not ours."""
TITLE = 60
"""The longest title of a collection."""


def opened(client: "HfApi", repo_id: str, private: bool | None, gated: Gate | None) -> "ModelInfo":
    """The repository as it is before anything new is pushed; made, and private, where it was not.

    One that is to be private or gated is so from here on. Raises BadName where it holds somebody's
    other model.
    """
    patiently(lambda: client.create_repo(repo_id, private=True, exist_ok=True))
    info = patiently(lambda: client.model_info(repo_id, files_metadata=True))
    names = listed(info).keys()
    ours = OURS in (info.tags or ()) or RECORD in names
    if any(name.endswith(WEIGHTS) for name in names) and not ours:
        raise BadName(
            f"{repo_id!r} holds a model that is not one of Boomerang's.",
            value=repo_id,
            fix="Publish under another namespace, or remove that repository first.",
        )
    closing: dict[str, Any] = {}
    if private and not info.private:
        closing["private"] = info.private = True
    elif gated is not None and not info.private and info.gated != gated:
        closing["gated"] = info.gated = gated
    if closing:
        patiently(lambda: client.update_repo_settings(repo_id, **closing))
    return info


def shown(client: "HfApi", info: "ModelInfo", private: bool | None, gated: Gate | None) -> None:
    """Make a repository public where that was asked for, now that it is whole.

    Behind its gate from the first moment on that anybody sees it; one that has none is opened.
    """
    if private is False and info.private:
        patiently(lambda: client.update_repo_settings(info.id, private=False, gated=gated))
    elif private is False and gated is None and info.gated:
        patiently(lambda: client.update_repo_settings(info.id, gated=False))


def version(files: Mapping[str, str]) -> str | None:
    """The tag of what these files, by sha256, have for weights; None where they have none.

    A card that says something new leaves it as it is.
    """
    weights = sorted(f"{name} {one}" for name, one in files.items() if name.endswith(WEIGHTS))
    if not weights:
        return None
    digest = hashlib.sha256("\n".join(weights).encode())
    return f"weights-{digest.hexdigest()[:8]}"


def tagged(client: "HfApi", repo_id: str, tag: str, commit: str) -> None:
    """Give a commit a tag; one that is there stays where it is."""
    patiently(lambda: client.create_tag(repo_id, tag=tag, revision=commit, exist_ok=True))


def collected(client: "HfApi", repo_id: str, title: str, private: bool) -> None:
    """Put a repository into its owner's collection of that title, which is as visible as it is."""
    owner = repo_id.split("/")[0]
    made: Any = patiently(
        lambda: client.create_collection(
            title[:TITLE], namespace=owner, private=private, exists_ok=True
        )
    )
    patiently(lambda: client.add_collection_item(made.slug, repo_id, "model", exists_ok=True))
    if made.private and not private:
        patiently(lambda: client.update_collection_metadata(made.slug, private=False))
