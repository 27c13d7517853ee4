"""A producer whose jobs go nowhere."""

from boomerang.service.jobs import Job, Producer


class Outbox(Producer):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__("")
        self.sent: list[Job] = []

    def send(self, job: Job) -> bool:
        self.sent.append(job)
        return True
