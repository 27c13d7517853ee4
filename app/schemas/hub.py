"""The Hub's reading interface: what its client reads of these answers."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer


class HubError(Answer):
    """An error for the Hub's client, which reads its kind from X-Error-Code."""

    error: str


class HubLfs(Answer):
    """A file that git keeps as a pointer; `oid` and `sha256` are one thing in two answers."""

    oid: str = ""
    sha256: str = ""
    size: int
    pointerSize: int  # noqa: N815


class HubSibling(Answer):
    """A file of a model, with more of it where `blobs` are asked for."""

    rfilename: str
    size: int = 0
    blobId: str = ""  # noqa: N815
    lfs: HubLfs | None = None


class HubTensors(Answer):
    """Parameters by dtype."""

    parameters: dict[str, int]
    total: int


class HubModel(Answer):
    """`ModelInfo`: in a list the first fields; with `expand` those that are asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "_id": "9f" * 12, "id": "boomerang/Qwen3-4B-Base-2.9B",
        "modelId": "boomerang/Qwen3-4B-Base-2.9B", "author": "boomerang", "private": False,
        "tags": ["transformers", "safetensors"], "pipeline_tag": "text-generation",
    }]})  # fmt: skip

    id_: str = Field(alias="_id")
    id: str
    modelId: str  # noqa: N815
    author: str = ""
    createdAt: str = ""  # noqa: N815
    lastModified: str = ""  # noqa: N815
    private: bool = False
    gated: Literal[False] = False
    disabled: Literal[False] = False
    downloads: int = 0
    likes: int = 0
    library_name: str = ""
    pipeline_tag: str = ""
    tags: list[str] = Field(default_factory=list)
    sha: str = Field(default="", description="the revision: 40 hex digits for every byte")
    cardData: dict[str, Any] = Field(default_factory=dict)  # noqa: N815
    config: dict[str, Any] = Field(default_factory=dict)
    safetensors: HubTensors | None = None
    usedStorage: int = 0  # noqa: N815
    transformersInfo: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    spaces: list[str] = Field(default_factory=list)
    model_index: Any = Field(default=None, alias="model-index")
    siblings: list[HubSibling] = Field(default_factory=list)


class HubCommitTitle(Answer):
    """The commit in an expanded entry of a tree."""

    id: str
    title: str
    date: str


class HubCommit(HubCommitTitle):
    """A commit of the history."""

    message: str
    authors: list[dict[str, str]]


class HubEntry(Answer):
    """A file or folder of a revision."""

    type: Literal["file", "directory"]
    oid: str
    size: int
    path: str
    lfs: HubLfs | None = None
    lastCommit: HubCommitTitle | None = None  # noqa: N815


class HubRef(Answer):
    """A branch."""

    name: str
    ref: str
    targetCommit: str  # noqa: N815


class HubRefs(Answer):
    """Branches and tags: one branch."""

    branches: list[HubRef]
    converts: list[HubRef]
    tags: list[HubRef]
    pullRequests: list[HubRef]  # noqa: N815


class HubNothing(Answer):
    """An empty object."""


class HubPaths(Answer):
    """What is asked about: names of files and folders."""

    paths: list[str]
    expand: bool = False
