"""A pair held in memory, so that any size of it writes or answers."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from boomerang.architecture.bert import not_played
from boomerang.face.plan import Named, found, open_pair
from boomerang.face.runs import folder_of
from boomerang.family.ladder import Ladder, Member
from boomerang.family.order_forms import order_of
from boomerang.processes.dialogue import Dialogue
from boomerang.processes.json_lines import Told

_PLAY = (sys.executable, "-m", "boomerang.play")

Asked = str | Sequence[Mapping[str, str]]
"""A text to continue, or the messages of a conversation: `role` and `content` of each."""


class Playing:
    """A process that holds teacher and student, once, and every size of them.

    `members` are the sizes, smallest first, `talks` whether the teacher has a chat template,
    `memory` the bytes of what is held. It is to be closed, as a context or by `close`.
    """

    def __init__(self, ladder: Ladder, size: str | None, job: Mapping[str, Any]) -> None:
        """Start it and wait until the pair is loaded.

        Raises JobFailed, Interrupted, or as `resolve` for the `size` that is asked by default.
        """
        self._ladder, self._size = ladder, ladder.student
        self._size = self.resolve(size)
        self._folder = tempfile.TemporaryDirectory(prefix="boomerang-")
        try:
            self._child = Dialogue(_PLAY, job, Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        self.talks, self.memory = bool(self._child.ready["chat"]), int(self._child.ready["memory"])

    @property
    def members(self) -> tuple[Member, ...]:
        """The sizes that may be asked, smallest first."""
        return self._ladder.members

    def resolve(self, size: str | None) -> Member:
        """The member that a size or a budget means, the one asked by default where None.

        Raises SizeNotFound, BudgetOutOfRange.
        """
        return self._size if size is None else self._ladder.resolve(size)

    def events(self, asked: Asked, size: str | None = None, **how: Any) -> Iterator[dict[str, Any]]:
        """What happens while a size answers: `begun`, `text` again and again, `done`.

        `how`: `max_tokens` (256), `temperature` (0: the most likely token each time), `top_p`,
        `seed`, `stop` (texts that end it) and `draft` (the student proposes what the size checks).
        Closing the iterator cancels the answer. Raises AskFailed, Interrupted, or as `resolve`.
        """
        kind = "prompt" if isinstance(asked, str) else "messages"
        code = self.resolve(size).composition.code
        return self._child.ask({"code": code, kind: asked, **how})

    def write(self, asked: Asked, size: str | None = None, **how: Any) -> Iterator[str]:
        """The pieces of what a size answers, as they are written; otherwise as `events`."""
        events = self.events(asked, size, **how)
        return (event["text"] for event in events if event["event"] == "text")

    def close(self) -> None:
        """End the process."""
        self._child.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def chat(
    teacher: Named, student: Named, size: str | None = None, *, order: str = "last",
    kept: Sequence[int] | None = None, context: int = 2048, device: str | None = None,
    dtype: str | None = None, told: Told | None = None,
) -> Playing:  # fmt: skip
    """Hold a pair in memory, in a process of its own, to have its sizes write or answer.

    `size`, the student's by default, is asked where no other is named. `context` bounds prompt and
    answer together, in tokens; `device` and `dtype` are torch's names, by default an accelerator's
    where there is one. `told` hears of what is fetched from the Hub. Raises
    UnsupportedArchitecture for masked language models, BadComposition for an order that only
    measuring finds, JobFailed, Interrupted, SizeNotFound, or as `open_pair`.
    """
    models = found(teacher), found(student)
    pair = open_pair(*models, kept=kept)
    if pair.teacher.architecture.masked:
        raise not_played(models[0].name)
    ladder = Ladder.of(pair, order_of(pair.layermap, order))
    job = {
        "teacher": str(folder_of(models[0], told).absolute()),
        "student": str(folder_of(models[1], told).absolute()),
        "kept": list(pair.layermap.kept),
        "device": device,
        "dtype": dtype,
        "context": context,
    }
    return Playing(ladder, size, job)
