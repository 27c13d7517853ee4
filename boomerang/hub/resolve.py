"""Models of the Hub: resolve a name to a commit, read headers by range, fetch into a folder.

Everything is pinned: a name becomes a commit once, and all that follows is read at that commit.
Only known files travel; code, pickles and other formats are neither read nor fetched.
"""

import re
from typing import TYPE_CHECKING, Any

from boomerang.checkpoint.files import OTHER_WEIGHTS, WEIGHTS
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadName, HubFailure, NoSafetensors
from boomerang.hub.client import api, bad_name, hub_endpoint, hub_errors, patiently
from boomerang.hub.hurry import silence
from boomerang.hub.remote import Resolved, checkpoint, first_bytes

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPO_ID = re.compile(rf"({_NAME}/)?{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve(repo_id: str, revision: str | None = None, *, endpoint: str | None = None) -> Resolved:
    """Ask what a name is now.

    Raises BadName, TeacherNotFound (no such repository or revision), GatedTeacher, NoSafetensors
    or HubFailure.
    """
    _check_names(repo_id, revision)
    client = api(endpoint)
    with hub_errors(repo_id, revision):
        info = patiently(
            lambda: client.model_info(
                repo_id, revision=revision, files_metadata=True, timeout=silence()
            )
        )
    found = _resolved(repo_id, info, hub_endpoint(endpoint))
    _check_weights(found)
    if found.gated:
        # The listing of a gated model is public: only reading a file tells who was let in.
        first_bytes(found)
    return found


def open_remote(
    repo_id: str, commit: str | None = None, *, endpoint: str | None = None
) -> Checkpoint:
    """A checkpoint on the Hub, headers only. Raises as `resolve` and `Checkpoint.read`."""
    return checkpoint(resolve(repo_id, commit, endpoint=endpoint))


def _check_names(repo_id: str, revision: str | None) -> None:
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id or "--" in repo_id:
        raise bad_name(repo_id)
    if repo_id.endswith(".git"):
        raise bad_name(repo_id)
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise BadName(
            f"{revision!r} is no name of a revision.",
            value=revision,
            fix="Name a branch, a tag or a commit of 40 hex digits.",
        )


def _resolved(repo_id: str, info: "ModelInfo", endpoint: str) -> Resolved:
    if not info.sha or not _COMMIT.fullmatch(info.sha):
        raise HubFailure(
            f"The Hub names no commit for {repo_id!r}.",
            value=repo_id,
            fix="Check that HF_ENDPOINT is a Hub.",
        )
    card: dict[str, Any] = dict(vars(info.card_data)) if info.card_data else {}
    listed = {s.rfilename: s for s in info.siblings or () if s.size is not None}
    return Resolved(
        repo_id=repo_id,
        commit=info.sha,
        private=bool(info.private),
        gated=bool(info.gated),
        license=_text(card.get("license")),
        license_name=_text(card.get("license_name")),
        license_link=_text(card.get("license_link")),
        base_model=_texts(card.get("base_model")),
        language=_texts(card.get("language")),
        files={name: int(s.size or 0) for name, s in sorted(listed.items())},
        sha256={name: s.lfs.sha256 for name, s in sorted(listed.items()) if s.lfs},
        endpoint=endpoint,
    )


def _text(value: object) -> str | None:
    """The first of what a card gives as one name or as a list of them."""
    texts = _texts(value)
    return texts[0] if texts else None


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, str) and item)


def _check_weights(resolved: Resolved) -> None:
    if any(re.fullmatch(WEIGHTS, name) for name in resolved.files):
        return
    other = [name for name in resolved.files if name.endswith(OTHER_WEIGHTS)]
    raise NoSafetensors(
        f"{resolved.repo_id!r} has no model.safetensors"
        + (f", only {other[0]}." if other else "."),
        value=resolved.repo_id,
        fix="Convert it first: load it and call save_pretrained, which writes safetensors.",
    )
