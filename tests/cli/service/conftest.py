"""A real front end for the commands that ask one."""

from tests.app.conftest import database, make_front, originals, shared

__all__ = ["database", "make_front", "originals", "shared"]
