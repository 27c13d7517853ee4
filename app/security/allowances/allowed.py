"""How much whoever is behind a request may use."""

from starlette.requests import Request

from app.security.keys import may, who
from boomerang.catalog.records.allowances import UNLIMITED, Allowance
from boomerang.catalog.records.keys import Key
from boomerang.service.settings import Settings


def allowance_of(request: Request) -> Allowance:
    """What the key of a request may use: the service's allowance, but for quotas of its own.

    A key of the scope `admin`, and whoever there is where there are no keys, may use anything.
    """
    settings: Settings = request.app.state.settings
    return allowance_for(
        settings, getattr(request.state, "key", None),
        everything=who(request).id is None or may(request, "admin"),
    )  # fmt: skip


def allowance_for(settings: Settings, key: Key | None, *, everything: bool) -> Allowance:
    """The same of a key of the catalog, or of one of the environment, which has no quotas."""
    base = UNLIMITED if everything else settings.allowance
    return base if key is None else base.with_quotas(key.quotas)
