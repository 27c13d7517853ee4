"""A producer whose jobs go nowhere."""

from boomerang.service.jobs import Message, Producer


class Outbox(Producer):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__("")
        self.sent: list[Message] = []

    def send(self, job: Message, id_: str | None = None) -> bool:
        self.sent.append(job)
        return True
