"""What the catalog keeps of a requester's token."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A token that only who has the service's secret can read, and the id that requests name."""

    id: str
    sealed: str
