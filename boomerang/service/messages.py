"""What is sent to the workers: each message is the name of a task with its payload.

A message only rings a bell: what is to be done stands in the catalog, and a lost message is sent
again by the workers' reapers.
"""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

QUEUES = ("distill", "measure", "assemble", "publish")


class Message(BaseModel):
    """What a task is told: its fields are the task's keyword arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: ClassVar[str]
    queue: ClassVar[str]


class KeyFamily(Message):
    """Hash the files of a provisional family, and make it the family that they name."""

    task, queue = "boomerang.key", "assemble"
    family: str


class Rehash(Message):
    """Hash the files of a student and its teacher again, where they were touched."""

    task, queue = "boomerang.rehash", "assemble"
    key: str


class Distill(Message):
    """Make a student ready: fetch what it needs, distil it, or verify that it is whole."""

    task, queue = "boomerang.distill", "distill"
    key: str


class Measure(Message):
    """Choose a family's order, measure its members, then settle it."""

    task, queue = "boomerang.measure", "measure"
    family: str


class Settle(Message):
    """Send the builds and publications that were asked of a family."""

    task, queue = "boomerang.settle", "assemble"
    family: str


class Assemble(Message):
    """Build a member as a folder."""

    task, queue = "boomerang.assemble", "assemble"
    family: str
    k: int
    want: int | None = None


class Publish(Message):
    """Push a member to the Hub."""

    task, queue = "boomerang.publish", "publish"
    family: str
    k: int
    repo: str
    private: bool = True
    collection: str | None = None
    force: bool = False
    want: int | None = None


class Sweep(Message):
    """Remove the folders of members that belong to no family; the catalog lists them."""

    task, queue = "boomerang.sweep", "assemble"


MESSAGES: tuple[type[Message], ...] = (
    KeyFamily, Rehash, Distill, Measure, Settle, Assemble, Publish, Sweep,
)  # fmt: skip
