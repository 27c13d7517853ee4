"""A folder with a tiny teacher and texts in it."""

from tests.distill.conftest import folder

__all__ = ["folder"]
