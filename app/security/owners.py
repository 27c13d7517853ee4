"""Whose a family is, as far as whoever asks may know: its owners and `admin` see the names."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request

from app.security.keys import acting, who
from boomerang.catalog.catalog import Catalog


def owned(
    request: Request, catalog: Catalog, families: Sequence[str] | None = None
) -> Callable[[str], dict[str, Any]]:
    """What a family, of these or of all, says of its owners to who asks: `owners` and `yours`.

    Where there are no keys everything is yours, and has no owners.
    """
    found, by, me = catalog.owners(families), acting(request), who(request).id

    def of(family: str) -> dict[str, Any]:
        theirs = found.get(family, ())
        yours = me is None or me in {owner.id for owner in theirs}
        seen = yours or by is None
        return {"owners": [owner.name for owner in theirs] if seen else None, "yours": yours}

    return of
