"""The real client, modules of it, and its HTTP library, each loaded when it is first used.

They take longer to load than a whole plan of local models, and the front end seldom needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpcore2
    import httpx2
    import huggingface_hub
    from huggingface_hub import _commit_api as commits
    from huggingface_hub import errors, lfs
    from huggingface_hub.utils import _headers as headers
    from huggingface_hub.utils import _http as http
    from huggingface_hub.utils import _runtime as runtime

    hf_xet: Any

__all__ = [
    "commits", "errors", "headers", "hf_xet", "http", "httpcore2", "httpx2", "huggingface_hub",
    "lfs", "runtime",
]  # fmt: skip

_WHERE = {
    "huggingface_hub": "huggingface_hub",
    "commits": "huggingface_hub._commit_api",
    "errors": "huggingface_hub.errors",
    "hf_xet": "hf_xet",
    "lfs": "huggingface_hub.lfs",
    "runtime": "huggingface_hub.utils._runtime",
    "headers": "huggingface_hub.utils._headers",
    "http": "huggingface_hub.utils._http",
    "httpcore2": "httpcore2",
    "httpx2": "httpx2",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = import_module(_WHERE[name])
    return found
