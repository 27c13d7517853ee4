"""A running front end: what a request would be is asked where people ask it."""

from tests.app.conftest import Front, database, hub, make_front, originals, shared

__all__ = ["Front", "database", "hub", "make_front", "originals", "shared"]
