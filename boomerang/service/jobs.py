"""Jobs: each message is the name of a task with its payload, sent by name without any worker.

A message only rings a bell: what is to be done stands in the catalog, and a lost message is sent
again by the workers' reapers.
"""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Created
from boomerang.hub.rights import Gate
from boomerang.processes import trace

QUEUES = ("distill", "measure", "assemble", "publish")
"""What every service has workers for."""
PLAY = "play"
"""The queue of those who try sizes; nobody listens to it unless BOOMERANG_PLAY says so."""


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


class PushStudent(Message):
    """Keep a student that is ready on the Hub."""

    task, queue = "boomerang.push_student", "publish"
    key: str


class Measure(Message):
    """Choose a family's order, measure its members, then settle it."""

    task, queue = "boomerang.measure", "measure"
    family: str


class Check(Message):
    """Check the plans of a family's members, for workers that have no torch."""

    task, queue = "boomerang.check", "measure"
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
    gated: Gate | None = None
    collection: str | None = None
    force: bool = False
    want: int | None = None


class Follow(Message):
    """Make a family anew at its teacher's new commit."""

    task, queue = "boomerang.follow", "assemble"
    family: str


class Tell(Message):
    """Send the notices that stand in the catalog."""

    task, queue = "boomerang.tell", "assemble"


class Rebuild(Message):
    """Look at what is there of a family, and mend it; the catalog says whether somebody asked."""

    task, queue = "boomerang.rebuild", "assemble"
    family: str


class Sweep(Message):
    """Remove the folders of members that belong to no family; the catalog lists them."""

    task, queue = "boomerang.sweep", "assemble"


class Play(Message):
    """Answer somebody who tries a size; what was asked lies in the queue's store for a while."""

    task, queue = "boomerang.play", PLAY
    id: str
    family: str
    k: int


def _headers(id_: str | None) -> dict[str, str]:
    return {} if id_ is None else {trace.HEADER: id_}


MESSAGES: tuple[type[Message], ...] = tuple(Message.__subclasses__())
log = logging.getLogger("boomerang.jobs")


def celery_app(redis_url: str) -> Any:
    """A Celery application that can send every job and run none."""
    from celery import Celery  # noqa: PLC0415 - whoever sends nothing loads no Celery

    app = Celery("boomerang", broker=redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_routes={job.task: {"queue": job.queue} for job in MESSAGES},
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_connect_timeout": 3, "socket_timeout": 10},
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
    )
    return app


class Producer:
    """Sends jobs. Celery is loaded at the first one."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._app: Any = None

    @property
    def app(self) -> Any:
        """The Celery application behind it."""
        if self._app is None:
            self._app = celery_app(self._url)
        return self._app

    def send(self, job: Message, id_: str | None = None) -> bool:
        """Send a job; False where the queue cannot be reached (a reaper will send it later).

        It is done for the request `id_`, or the one that is worked on now.
        """
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as Celery

        try:
            self.app.send_task(
                job.task, kwargs=job.model_dump(mode="json"), queue=job.queue,
                headers=_headers(id_ or trace.current()),
            )  # fmt: skip
        except OperationalError as error:
            log.warning("%s could not be sent: %s", job.task, type(error).__name__)
            return False
        return True

    def start(self, created: Created) -> bool:
        """Send the job that a change in the catalog led to, if any."""
        if created.next is None:
            return True
        subject = created.student.key if created.next == "distill" else created.family.id
        return self.due(Due(created.next, subject))

    def due(self, due: Due) -> bool:
        """Send a job that a reaper found."""
        if due.job == "distill":
            return self.send(Distill(key=due.subject), due.trace)
        if due.job == "keep":
            return self.send(PushStudent(key=due.subject), due.trace)
        if due.job == "sweep":
            return self.send(Sweep())
        if due.job == "tell":
            return self.send(Tell())
        kinds = {
            "key": KeyFamily, "measure": Measure, "settle": Settle, "follow": Follow,
            "rebuild": Rebuild,
        }  # fmt: skip
        return self.send(kinds[due.job](family=due.subject), due.trace)

    def sweep(self, digests: Sequence[str]) -> bool:
        """Send the removal of members' folders, if there are any to remove."""
        return not digests or self.send(Sweep())

    def ping(self) -> None:
        """Raise where the queue does not answer."""
        with self.app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=3)

    def close(self) -> None:
        """Close every connection to the queue."""
        if self._app is not None:
            self._app.close()
            self._app = None
