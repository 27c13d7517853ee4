"""Boomerang distillation: distil a teacher once, then compose a model of any size.

The method is in this package and needs neither web, queue nor database; importing it loads no
tensor library. Terms are those of the paper (arXiv 2510.05064): *teacher*, *student*, *block*,
*patch*, *intermediate model*. What a program asks of it is here, and in docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boomerang.face.chat import chat
    from boomerang.face.healing import heal
    from boomerang.face.members import assemble
    from boomerang.face.plan import open_pair, plan
    from boomerang.face.runs import distil, measure
    from boomerang.face.verify import verify
    from boomerang.family.ladder import Member

__version__ = "0.1.0"
__all__ = ["Member", "assemble", "chat", "distil", "heal", "measure", "open_pair", "plan", "verify"]

_WHERE = {
    "Member": "boomerang.family.ladder",
    "assemble": "boomerang.face.members",
    "chat": "boomerang.face.chat",
    "distil": "boomerang.face.runs",
    "heal": "boomerang.face.healing",
    "measure": "boomerang.face.runs",
    "open_pair": "boomerang.face.plan",
    "plan": "boomerang.face.plan",
    "verify": "boomerang.face.verify",
}
"""The module of each name, which is loaded when it is first asked for (PEP 562)."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_WHERE[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
