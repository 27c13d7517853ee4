"""What was published to a repository, and what a commit that was handed out stands for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a repository of the Hub holds: of which family, who sees it, and the card's sha256.

    `made_of` stands for the bytes of the student; None where that is not known.
    """

    repo: str
    family: str
    private: bool
    card: str
    made_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A member at a commit: its family, the name it had, its card, and `facts` of its record.

    The weights of a member are its teacher's and its student's, but its card changes with what is
    measured. What a commit names can be written again from this and the two models.
    """

    commit: str
    family: str
    repo: str
    card: str
    facts: dict[str, Any]
