"""The real client, modules of it, and its HTTP library, each loaded when it is first used.

They take longer to load than a whole plan of local models, and the front end seldom needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpcore2
    import httpx2
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils import _headers as headers
    from huggingface_hub.utils import _http as http

__all__ = ["errors", "headers", "http", "httpcore2", "httpx2", "huggingface_hub"]

_WHERE = {
    "huggingface_hub": "huggingface_hub",
    "errors": "huggingface_hub.errors",
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
